"""Masked auto-encoding (He et al. 2022; SupReMix, Table 20)."""

from contrasweep.search_spaces._space import Context, Suggests, Value


def suggest(trial: Suggests, context: Context) -> dict[str, Value]:
    """Mask ratio, whether patches are normalised, and the decoder's depth."""
    return {
        "mask_ratio": trial.suggest_float("mae.mask_ratio", 0.4, 0.9),
        "norm_patches": trial.suggest_categorical("mae.norm_patches", [True, False]),
        "decoder_blocks": trial.suggest_int("mae.decoder_blocks", 1, 12),
    }
