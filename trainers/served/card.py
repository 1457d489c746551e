"""The model card of a served model (Mitchell et al. 2019), in Markdown: what it is, of whom, and what it is not for."""

import json
from collections.abc import Mapping

from contrasweep.trainers.config import RunConfig
from contrasweep.trainers.objectives import OBJECTIVES
from contrasweep.trainers.served.config import ServedConfig, SourceRange

CARD = "README.md"
"""Beside `served.json`."""
INTENDED = "Research on groups of people like those it was trained on. It is no medical device: not for diagnosis."
_NOT_STATED = "not stated"
_MOST_GROUPS = 12
"""Of a column, beyond which the smaller ones are counted together."""


def card(config: ServedConfig, runs: Mapping[str, RunConfig], how_well: str = "") -> str:
    """The card of a model of `runs`, by their names; `how_well` is Markdown on what others than training said of it."""
    unit = f", in {config.data.unit}" if config.data.unit else ""
    covariates = ", ".join(config.data.covariates)
    sections = {
        f"{config.data.label}, predicted from images": f"{origin(config, runs)}\n\n{INTENDED}",
        "What it predicts, and from what": "\n".join(
            [
                f"{config.data.label}{unit}, from images that are prepared to the shape {list(config.image_shape)}"
                f"{f', and from {covariates}' if covariates else ''}. Each scan goes through:",
                "",
                *([f"- `{json.dumps(step)}`" for step in config.data.transforms] or ["- nothing"]),
            ]
        ),
        "What it was trained on": "\n".join(_trained(config)),
        "What it is not for": _limits(config),
        "Licence": f"{licence(config)}.",
        "How well": how_well or "Nothing is told of that here.",
        "Versions": ", ".join(f"{name} {of}" for name, of in config.versions.items()) + ".",
    }
    told = (f"## {title}\n\n{text}\n" for title, text in sections.items())
    return "\n".join(told).removeprefix("#")


def origin(config: ServedConfig, runs: Mapping[str, RunConfig]) -> str:
    """Where the model comes from, in two sentences."""
    objectives = " and ".join(OBJECTIVES[one].heading for one in next(iter(runs.values())).objectives)
    mean, chosen, by = ("mean", "that configuration", f"{objectives} of validation scans")
    if config.weights:
        mean, chosen, by = ("weighted mean", "these runs", "what they say of validation scans")
    return (
        f"The {mean} over {len(runs)} runs ({', '.join(runs)}) of {config.origin}: encoder {encoders_of(runs)}, method "
        f"{', '.join(dict.fromkeys(config.trials.values()))}. The sweep chose {chosen} by {by}."
    )


def encoders_of(runs: Mapping[str, RunConfig]) -> str:
    """The name of the encoder of runs, or of all where they have several."""
    return ", ".join(dict.fromkeys(run.model.encoder for run in runs.values()))


def licence(config: ServedConfig) -> str:
    """What may be done with the model, as its study says."""
    return config.data.licence or _NOT_STATED


def _trained(config: ServedConfig) -> list[str]:
    of, labels, unit = config.trained, config.trained.labels, f" {config.data.unit}" if config.data.unit else ""
    lines = [
        f"{of.subjects} subjects, {of.scans} scans; {config.data.label} from {labels.minimum:.4g} to "
        f"{labels.maximum:.4g}{unit}, mean {labels.mean:.4g}, sd {labels.std:.4g}. Of anyone unlike these it knows "
        "nothing.",
        "",
        *(_range(name, source) for name, source in of.sources.items()),
    ]
    return lines + [f"- {column}: {_counted(groups)}" for column, groups in of.groups.items()]


def _counted(groups: Mapping[str, int]) -> str:
    told = [f"{group} {many}" for group, many in groups.items()]
    others = sum([*groups.values()][_MOST_GROUPS:])
    return ", ".join([*told[:_MOST_GROUPS], *([f"{len(told) - _MOST_GROUPS} others {others}"] if others else [])])


def _range(name: str, source: SourceRange) -> str:
    shapes = _from_to(*(" x ".join(map(str, shape)) for shape in source.shape))
    voxels = f", voxels {_from_to(*(f'{edge:.3g}' for edge in source.spacing_mm))} mm" if source.spacing_mm else ""
    return f"- {name or 'images'}: channels and shape {shapes}{voxels}"


def _from_to(low: str, high: str) -> str:
    return f"of {low}" if low == high else f"from {low} to {high}"


def _limits(config: ServedConfig) -> str:
    return "\n".join(
        [
            "- Decisions about a person: diagnosis, treatment, insurance, employment.",
            f"- Scans unlike those above, by device, protocol, disease or {config.data.label}: `contrasweep predict`",
            "  flags some of them, `contrasweep evaluate` says how wrong it is on another cohort with labels.",
            "- A gap, prediction less label, as if it were free of the label: it depends on it; correct it, and quote",
            "  no error after that.",
        ]
    )
