"""All that changes while a run trains, and how it is saved and restored."""

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from contrasweep.trainers import checkpoint
from contrasweep.trainers.config import RunConfig, TrainingConfig, weights_file
from contrasweep.trainers.covariates import Covariates
from contrasweep.trainers.data.feeds import Feed
from contrasweep.trainers.distributed import rank, world_size
from contrasweep.trainers.history import RUNNING, EpochMetrics, History
from contrasweep.trainers.model import Model, build_model
from contrasweep.trainers.normalization import Normalization
from contrasweep.trainers.probes import Probe
from contrasweep.trainers.seeding import fold

SAVE_EVERY_S = 600.0
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class TrainState:
    """Model, optimiser, averaged weights and history of one run; `network` is the model's, distributed.

    `losses` are those of the steps of the epoch under way, `saved_at` the monotonic time of the last checkpoint, and
    `began` that of the epoch's beginning, less what another process spent on it.
    """

    config: TrainingConfig
    model: Model
    network: nn.Module
    ema: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    history: History
    normalization: Normalization | None
    covariates: Covariates | None
    losses: list[Tensor] = field(default_factory=list)
    saved_at: float = field(default_factory=time.monotonic)
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, run: RunConfig, feed: Feed, folder: Path, device: torch.device) -> "TrainState":
        """A fresh state, or the one saved in `folder`."""
        config = run.training
        if checkpoint.last(folder):
            run = run.model_copy(update={"model": run.model.model_copy(update={"init_from": None})})
        torch.manual_seed(fold(run.seed, "weights"))
        model = build_model(run, feed).to(device)
        if world_size() > 1 and device.type == "cuda":
            model.network = nn.SyncBatchNorm.convert_sync_batchnorm(model.network)
        ema = AveragedModel(model, multi_avg_fn=moving_average(config.ema), use_buffers=True) if config.ema else None
        state = cls(
            config=config,
            model=model,
            network=distribute(model.network) if world_size() > 1 else model.network,
            ema=ema,
            optimizer=torch.optim.Adam(parameter_groups(model, config.weight_decay), lr=config.lr),
            scaler=torch.amp.GradScaler(device.type, enabled=config.precision == "fp16"),
            device=device,
            history=History(seed=run.seed, last=config.checkpoint == "last", objective=run.objectives[0]),
            normalization=feed.normalization,
            covariates=feed.covariates,
        )
        if saved := checkpoint.last(folder):  # asked again: distributing waited for the first worker to have written it
            state._restore(saved)
            if rank() == 0 and History.read(folder) is None:
                state.history.write(folder)
        return state

    @property
    def evaluated(self) -> Model:
        """The weights that are evaluated and kept: the moving average where there is one."""
        return cast(Model, self.ema.module) if self.ema else self.model

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for the forward pass; full precision where the configuration says fp32."""
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not torch.float32)

    def begin_epoch(self, lr: float) -> None:
        """Training mode, and the learning rate of every parameter."""
        if not self.losses:
            self.began = time.monotonic()
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def step(self, loss: Tensor) -> None:
        """Backward, clip, update, average."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.config.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update_parameters(self.model)

    def save_best(self, folder: Path, probe: Probe, row: EpochMetrics) -> None:
        """Write `best.pt`: all that predicting needs."""
        self._save_weights(folder / weights_file(0), probe, row)

    def save_epoch(self, folder: Path, row: EpochMetrics) -> None:
        """Write `epoch-0006.pt` after the sixth epoch: as `best.pt`, without a probe that was not trained along."""
        self._save_weights(folder / weights_file(int(row["epoch"]) + 1), self.evaluated.loss.probe(), row)

    def _save_weights(self, path: Path, probe: Probe | None, row: EpochMetrics) -> None:
        if rank() == 0:
            weights = {
                "model": self.evaluated.network.state_dict(),
                "normalization": asdict(self.normalization) if self.normalization else None,
                "covariates": asdict(self.covariates) if self.covariates else None,
                "probe": probe.state() if probe else None,
                "epoch": row["epoch"],
                "validation_mae": row.get("validation_mae"),
            }
            checkpoint.save(path, weights)

    def save_in_time(self, folder: Path) -> None:
        """Write `latest.pt` in the middle of an epoch, where the last one is `SAVE_EVERY_S` old."""
        if time.monotonic() - self.saved_at >= SAVE_EVERY_S:
            self.save_latest(folder)

    def save_latest(self, folder: Path) -> None:
        """Write `history.json`, and then `latest.pt`, from which training goes on; the one before is kept meanwhile.

        In this order a verdict that was written stands, even where the checkpoint is an epoch behind.
        """
        if rank() == 0:
            self.history.write(folder)
            latest = {
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict() if self.ema else None,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "history": asdict(self.history),
                "losses": torch.stack(self.losses) if self.losses else torch.empty(0),
                "spent_s": time.monotonic() - self.began,
            }
            former = folder / checkpoint.PREVIOUS
            checkpoint.save(folder / checkpoint.LATEST, latest, former)
            if self.history.state != RUNNING:
                former.unlink(missing_ok=True)
            self.saved_at = time.monotonic()

    def _restore(self, saved: Path) -> None:
        latest = checkpoint.load(saved, self.device)
        self.model.load_state_dict(latest["model"])
        if self.ema:
            self.ema.load_state_dict(latest["ema"])
        self.optimizer.load_state_dict(latest["optimizer"])
        self.scaler.load_state_dict(latest["scaler"])
        self.history = History(**latest["history"])
        self.losses = list(latest["losses"])
        self.began = time.monotonic() - latest.get("spent_s", 0.0)


def distribute(network: nn.Module) -> nn.Module:
    """The network with gradients averaged over workers, in an order that a restart does not change.

    DDP regroups its gradients after a process's first step, so that a resumed process would sum its first
    ones in another order; looking for unused parameters keeps it from that.
    """
    warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
    return DistributedDataParallel(network, find_unused_parameters=True)


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average of weights and buffers, whose decay rises to `decay` with the number of steps n.

    min(decay, (1 + n) / (10 + n)), so that a short run is not an average over its untrained start.
    """

    def update(averaged: Any, current: Any, steps: Any) -> None:
        n = int(steps)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, steps)

    return update


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights with decay; biases and norms without (SupReMix, appendix C)."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
