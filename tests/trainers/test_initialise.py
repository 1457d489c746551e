"""Which tensors of a file end up in a network, and what is said of the others."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contrasweep.trainers.config import ModelConfig, RunConfig
from contrasweep.trainers.encoders import build
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.initialise import initialise, read_weights
from contrasweep.trainers.model import build_model, build_network
from contrasweep.trainers.network import Network, projection_head
from contrasweep.trainers.pretrain import pretrain
from tests.trainers import tiny

SMALL = ModelConfig(spatial_dims=2, head_hidden=16, embedding=8)


def network(seed: int = 0, *, channels: int = 1, width: float = 1 / 16, head: bool = True) -> Network:
    torch.manual_seed(seed)
    encoder = build("resnet18", (channels, 16, 16), width=width)
    return Network(encoder, projection_head(encoder, SMALL) if head else None, "encoder")


def save(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def trained() -> Network:
    """A network whose buffers are not what a fresh one's are, either."""
    made = network(seed=1)
    for name, tensor in made.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_()
    return made


@pytest.mark.parametrize("prefix", ["", "module.", "network.", "module.model."])
@pytest.mark.parametrize("under", [None, "model", "state_dict"])
def test_a_whole_network_is_taken_over_whatever_stands_before_its_names(
    tmp_path: Path, prefix: str, under: str | None
) -> None:
    source, target = trained(), network()
    tensors = prefixed(prefix, source.state_dict())
    matched = initialise(target, save(tmp_path / "best.pt", {under: tensors, "epoch": 3} if under else tensors), 0)
    assert equal(target, source)
    count = len(source.state_dict())
    assert matched.summary() == f"{count} of {count} tensors from best.pt"


@pytest.mark.parametrize("prefix", ["", "encoder.", "backbone.", "module.encoder_q.", "model.encoder."])
def test_an_encoder_alone_is_taken_over_and_the_head_stays_as_it_was_drawn(tmp_path: Path, prefix: str) -> None:
    source, target = trained(), network()
    tensors = prefixed(prefix, source.encoder.state_dict()) | {"fc.weight": torch.zeros(1, 32)}
    matched = initialise(target, save(tmp_path / "other.pth", tensors), 0)
    assert equal(target.encoder, source.encoder)
    assert equal(target.head, network().head)  # type: ignore[arg-type]
    assert matched.missing == ("head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias")
    assert matched.unexpected == ("fc.weight",)
    assert matched.loaded == tuple(f"encoder.{name}" for name in source.encoder.state_dict())
    assert matched.summary().endswith(
        "from other.pth; not in it: head.0.weight, head.0.bias, head.2.weight and 1 more; not used: fc.weight"
    )


def test_another_shape_is_told_and_left_at_its_random_value(tmp_path: Path) -> None:
    source, target = network(seed=1, channels=3), network()
    matched = initialise(target, save(tmp_path / "rgb.pt", source.state_dict()), 0)
    assert matched.reshaped == (("encoder.conv1.weight", (4, 3, 7, 7), (4, 1, 7, 7)),)
    assert not matched.missing and not matched.unexpected
    assert matched.summary().endswith("; other shape: encoder.conv1.weight [4, 3, 7, 7] for [4, 1, 7, 7]")
    stem, fresh = target.encoder.state_dict()["conv1.weight"], network().encoder.state_dict()["conv1.weight"]
    assert torch.equal(stem, fresh)
    layer = "layer1.0.conv1.weight"
    assert torch.equal(target.encoder.state_dict()[layer], source.encoder.state_dict()[layer])


def test_an_encoder_of_another_width_is_refused_though_its_counters_fit(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.pt", network(width=1 / 8).state_dict())
    count = len(network().state_dict())
    with pytest.raises(UserError) as error:
        initialise(network(), path, 0)
    assert str(error.value) == (
        f"model.init_from: wide.pt: none of its {count} tensors fits the encoder ResNet18; first in the file: "
        "encoder.conv1.weight [8, 1, 7, 7]; first in the encoder: conv1.weight [4, 1, 7, 7]"
    )


def test_a_head_alone_is_refused(tmp_path: Path) -> None:
    head = prefixed("head.", network().head.state_dict())  # type: ignore[union-attr]
    with pytest.raises(UserError, match="none of its 4 tensors fits the encoder"):
        initialise(network(), save(tmp_path / "head.pt", head), 0)


def test_weights_in_another_precision_are_converted(tmp_path: Path) -> None:
    source, target = trained(), network()
    initialise(target, save(tmp_path / "half.pt", source.half().state_dict()), 0)
    stem = target.encoder.state_dict()["conv1.weight"]
    assert stem.dtype == torch.float32
    assert torch.equal(stem, source.encoder.state_dict()["conv1.weight"].float())


def test_a_folder_gives_each_seed_its_own_and_others_the_least(tmp_path: Path) -> None:
    for seed in (10, 3):
        save(tmp_path / f"seed-{seed}.pt", {"model": {"a": torch.tensor(float(seed))}})
    (tmp_path / "seed-x.pt").touch()
    assert [float(read_weights(tmp_path, seed)["a"]) for seed in (3, 10, 0)] == [3, 10, 3]


class Runs:
    """Unpickling this touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    path = save(tmp_path / "evil.pt", {"model": network().state_dict(), "args": Runs(tmp_path / "ran")})
    with pytest.raises(UserError, match=r"^model.init_from: \S*evil.pt: holds posix.system, which would have to be"):
        read_weights(path, 0)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(UserError, match=r"plain.pt: not a file of weights; allowed: a state dict of tensors alone"):
        read_weights(tmp_path / "plain.pt", 0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x80\x04\x95", bytes(range(256)) * 9])
def test_what_is_no_file_of_weights_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"some.pt: not a file of weights; allowed: ") as error:
        read_weights(tmp_path / "some.pt", 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [torch.ones(3), {"epoch": 3}, [torch.ones(3)]])
def test_tensors_need_names(tmp_path: Path, content: object) -> None:
    with pytest.raises(UserError, match=r"some.pt: holds no tensors by name"):
        read_weights(save(tmp_path / "some.pt", content), 0)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model.init_from: no such file: \S*best.pt$"):
        read_weights(tmp_path / "best.pt", 0)
    with pytest.raises(UserError, match=r"a folder without seed-<n>.pt"):
        read_weights(tmp_path, 0)


VIT = {"encoder": "vit", "width": 1 / 16, "depth": 1 / 6, "encoder_params": {"patch": 8}}


def of(method: str, init_from: Path | None = None) -> RunConfig:
    model = VIT | {"init_from": str(init_from) if init_from else None}
    params = {"decoder_blocks": 1} if method == "mae" else None
    run = tiny.run(method, model=model, epochs=1, augmentations={})
    return run.model_copy(update={"method": run.method.model_copy(update={"params": params or run.method.params})})


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one epoch for each method."""
    folder = tmp_path_factory.mktemp("runs")
    for method in ("mae", "vanilla", "exponential"):
        pretrain(of(method), tiny.feed(), folder / method, device=torch.device("cpu"))
    return folder


@pytest.mark.parametrize("target", ["mae", "vanilla", "exponential"])
@pytest.mark.parametrize("source", ["mae", "vanilla", "exponential"])
@pytest.mark.parametrize("file", ["best.pt", "latest.pt"])
def test_runs_of_all_kinds_start_one_another(pretrained: Path, source: str, target: str, file: str) -> None:
    path = pretrained / source / file
    model = build_model(of(target, path), tiny.feed())
    saved = torch.load(path, weights_only=True)["model"]
    prefix = "encoder." if file == "best.pt" else "network.encoder."
    for name, tensor in model.network.encoder.state_dict().items():
        assert torch.equal(tensor, saved[prefix + name]), name


def test_a_network_to_be_filled_with_trained_weights_reads_no_file(tmp_path: Path) -> None:
    build_network(of("exponential", tmp_path / "gone.pt"), tiny.IMAGE_SHAPE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({1: torch.zeros(3)}, "holds no tensors by name"),
        ({"conv1.weight": torch.tensor([1.0, float("nan")])}, "conv1.weight holds numbers that are not finite"),
    ],
)
def test_what_is_no_state_dict(content: object, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(UserError, match=said):
        read_weights(tmp_path / "odd.pt", seed=0)
