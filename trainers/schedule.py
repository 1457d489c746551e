"""Learning rate by epoch: a function of the epoch alone, so that there is no state to resume."""

import math

from contrasweep.trainers.config import TrainingConfig


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """The learning rate of an epoch (from 0).

    `step` multiplies by `step_factor` every `step_epochs` (DynLocRep, section 4.2); `cosine` falls to
    zero over the epochs after the warm-up (SupReMix, appendix C). The warm-up is linear in both.

    >>> learning_rate(TrainingConfig(lr=1.0, step_epochs=10, step_factor=0.9), 25)
    0.81
    """
    if epoch < config.warmup_epochs:
        return config.lr * (epoch + 1) / config.warmup_epochs
    if config.schedule == "step":
        return config.lr * config.step_factor ** (epoch // config.step_epochs)
    progress = (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
    return config.lr * (1 + math.cos(math.pi * progress)) / 2
