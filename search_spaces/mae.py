"""Masked auto-encoding (He et al. 2022; SupReMix, Table 20)."""

from collections.abc import Mapping

from search_spaces._invariants import above_zero
from search_spaces._space import Context, Suggests, Value

PUBLISHED: Mapping[str, Value] = {
    "mask_ratio": 0.75,
    "norm_patches": True,
    "decoder_width": 512,
    "decoder_blocks": 8,
}


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Mask ratio, whether patches are normalised, and the decoder's depth."""
    return {
        "mask_ratio": trial.suggest_float("mae.mask_ratio", 0.4, 0.9),
        "norm_patches": trial.suggest_categorical("mae.norm_patches", [True, False]),
        "decoder_blocks": trial.suggest_int("mae.decoder_blocks", 1, 12),
    }


def check(params: Mapping[str, Value], context: Context) -> None:
    """mask_ratio is between 0 and 1; the decoder's width and blocks are above 0."""
    above_zero(params, "mae", "mask_ratio", "decoder_width", "decoder_blocks")
    ratio = params["mask_ratio"]
    assert isinstance(ratio, int | float)
    if not ratio < 1:
        raise ValueError(f"mae.mask_ratio: {ratio:g} is not allowed: must be below 1")
