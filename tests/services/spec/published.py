"""The published points of the methods, as the papers and the authors' code have them."""

import math
from typing import Any

_KERNEL = {"temperature": 0.1, "kernel": "rbf", "sigma": 2.0, "reduction": "mean", "variant": "paper"}
_HEAD = {"bend": 1.0, "bins": 101, "soft_bin": 1.0, "soft_sd": 1.0}

PUBLISHED: dict[str, dict[str, Any]] = {
    "adacon": {"temperature": 1 / 150, "margin": 2.0, "bin_size": None, "regression": 0.0, "reduction": "mean"},
    "c_mixup": {"bandwidth": 1.75, "alpha": 2.0, "kind": "mse", **_HEAD},
    "dynlocrep": {
        **_KERNEL,
        "distance": "manhattan",
        "nn_final": 14,
        "nn_step_size": 1,
        "lam": math.inf,
    },
    "exponential": _KERNEL,
    "fds": {
        "bin_size": 1.0,
        "kernel_size": 5,
        "sigma": 2.0,
        "momentum": 0.9,
        "start_smooth": 1,
        "reweight": False,
        "variant": "paper",
        "kind": "l1",
        **_HEAD,
    },
    "lds": {
        "bin_size": 1.0,
        "reweight": "sqrt_inverse",
        "kernel_size": 5,
        "sigma": 2.0,
        "variant": "paper",
        "kind": "l1",
        **_HEAD,
    },
    "mae": {"mask_ratio": 0.75, "norm_patches": True, "decoder_width": 512, "decoder_blocks": 8},
    "mixup": {"alpha": 2.0, "kind": "mse", **_HEAD},
    "nnclr": {"temperature": 0.1, "hidden": 4096, "queue_size": 98304, "reduction": "mean"},
    "rank_n_contrast": {"temperature": 2.0, "on": "encoder", "bin_size": None, "reduction": "mean"},
    "simclr": {"temperature": 0.5, "reduction": "mean"},
    "supcon": {"temperature": 0.1, "bin_size": None, "reduction": "mean"},
    "supremix": {
        "temperature": 0.5,
        "window": 5.0,
        "window_unit": "label",
        "alpha": 2.0,
        "beta": 8.0,
        "weight": "ratio",
        "bin_size": None,
        "mix_neg": True,
        "mix_pos": True,
        "renormalise": True,
        "detach_mixtures": False,
        "reduction": "mean",
        "variant": "paper",
    },
    "threshold": _KERNEL,
    "vanilla": {"kind": "l1", **_HEAD},
    "y_aware": _KERNEL,
}
