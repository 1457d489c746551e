"""Starting from trained weights: what fits is loaded, and what does not is told."""

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from contrasweep.trainers import checkpoint
from contrasweep.trainers.errors import UserError
from contrasweep.trainers.network import Network

_NESTED = ("model", "state_dict", "model_state_dict")
_ALLOWED = "a state dict of tensors alone, as torch.save writes it"
_SHOWN = 3


class Reshaped(NamedTuple):
    """A tensor of the network that the file has in another shape."""

    name: str
    in_file: tuple[int, ...]
    in_network: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {list(self.in_file)} for {list(self.in_network)}"


class Matched(NamedTuple):
    """What became of the tensors of a network and of the file `source`.

    `loaded`, `missing` (not in the file) and `reshaped` are all of the network's, by their names there;
    `unexpected` are the file's that were not used, by their names in the file.

    >>> Matched("best.pt", ("encoder.conv1.weight",), ("head.0.bias",), (), ()).summary()
    '1 of 2 tensors from best.pt; not in it: head.0.bias'
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[Reshaped, ...]

    def summary(self) -> str:
        """One line, in which long lists are cut short and counted."""
        total = len(self.loaded) + len(self.missing) + len(self.reshaped)
        parts = [f"{len(self.loaded)} of {total} tensors from {self.source}"]
        rest = {"not in it": self.missing, "not used": self.unexpected, "other shape": self.reshaped}
        return "; ".join(parts + [f"{title}: {_shortened(names)}" for title, names in rest.items() if names])


def initialise(network: Network, path: str, seed: int) -> Matched:
    """Load every tensor of `path` that `network` has by the same name and in the same shape, buffers included.

    Names may differ by a prefix (`module.`, `backbone.`, a whole network's `encoder.`): the one by which the most
    tensors fit is taken. What does not fit stays as it was drawn. `path` and `seed` are those of `read_weights`.
    Raises UserError as that does, and where nothing of the encoder fits.
    """
    weights, state = read_weights(path, seed), network.state_dict()
    source = weights_file(path, seed).name
    names = _best_names(weights, state)
    fitting = {own: weights[name] for own, name in names.items() if _fits(own, weights[name], state)}
    if not any(f"encoder.{name}" in fitting for name, _ in network.encoder.named_parameters()):
        raise UserError(_nothing_fits(source, weights, network))
    network.load_state_dict(fitting, strict=False)
    used = {name for own, name in names.items() if own in state}
    return Matched(
        source=source,
        loaded=tuple(own for own in state if own in fitting),
        missing=tuple(own for own in state if own not in names),
        unexpected=tuple(name for name in weights if name not in used),
        reshaped=tuple(
            Reshaped(own, tuple(weights[names[own]].shape), tuple(tensor.shape))
            for own, tensor in state.items()
            if own in names and own not in fitting
        ),
    )


def read_weights(path: str | Path, seed: int) -> dict[str, Tensor]:
    """The tensors of a file by name: a run's `best.pt` or `latest.pt`, or a state dict, alone or under `model`.

    In a folder with a file for each seed, as `trainers.inference.save_ensemble` writes it, that of `seed` is read,
    or else of the least. Nothing is unpickled. Raises UserError for anything else than tensors.
    """
    file = weights_file(path, seed)
    try:
        with warnings.catch_warnings(record=True):  # of pickles that are refused right after
            content: object = _content(file)
    except Exception as error:  # torch.load passes on whatever goes wrong in its several readers
        raise UserError(f"model.init_from: {file}: {_why(error)}; allowed: {_ALLOWED}") from error
    tensors = {
        name: tensor
        for name, tensor in _innermost(content).items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    if not tensors:
        raise UserError(f"model.init_from: {file}: holds no tensors by name; allowed: {_ALLOWED}")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise UserError(f"model.init_from: {file}: {name} holds numbers that are not finite")
    return tensors


def _content(file: Path) -> object:
    """What a file holds; only what torch has written as zip files, for some years, has checksums."""
    return checkpoint.load(file) if zipfile.is_zipfile(file) else checkpoint.read(file)


def weights_file(path: str | Path, seed: int) -> Path:
    """The file that is read of `path`: itself, or one of the folder's. Raises UserError where there is none."""
    path = Path(path)
    if not path.is_dir():
        if path.exists():
            return path
        raise UserError(f"model.init_from: no such file: {path}")
    files = {int(file.stem.removeprefix("seed-")): file for file in seed_files(path)}
    if not files:
        raise UserError(f"model.init_from: {path}: a folder without seed-<n>.pt; allowed: a file, or a folder of these")
    return files.get(seed, files[min(files)])


def seed_files(folder: Path) -> list[Path]:
    """The files `seed-<n>.pt` of a folder, in the order of their names."""
    return sorted(file for file in folder.iterdir() if re.fullmatch(r"seed-\d+\.pt", file.name))


def _innermost(content: object) -> Mapping[str, object]:
    while isinstance(content, Mapping):
        inner = (content[key] for key in _NESTED if isinstance(content.get(key), Mapping))
        if (nested := next(inner, None)) is None:
            return content
        content = nested
    return {}


def _why(error: Exception) -> str:
    code = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"holds {code[1]}, which would have to be unpickled" if code else "not a file of weights"


def _best_names(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, str]:
    """The file's names by the network's, with the prefixes exchanged so that the most tensors fit."""
    exchanged = (
        {add + name.removeprefix(strip): name for name in weights if name.startswith(strip)}
        for strip in _prefixes(weights)
        for add in ("", "encoder.")
    )
    return max(exchanged, key=lambda names: sum(_fits(own, weights[name], state) for own, name in names.items()))


def _prefixes(names: Iterable[str]) -> list[str]:
    """Every prefix that ends in a dot, the empty one included, the shortest first.

    >>> _prefixes(["module.fc.weight", "module.fc.bias"])
    ['', 'module.', 'module.fc.']
    """
    found = {name[:end] for name in names for end in (0, *_after_dots(name))}
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix))


def _after_dots(name: str) -> Iterator[int]:
    return (match.end() for match in re.finditer(r"\.", name))


def _fits(own: str, tensor: Tensor, state: Mapping[str, Tensor]) -> bool:
    return own in state and state[own].shape == tensor.shape


def _nothing_fits(source: str, weights: Mapping[str, Tensor], network: Network) -> str:
    encoder = network.encoder
    first, own = (_described(*next(iter(tensors.items()))) for tensors in (weights, encoder.state_dict()))
    return (
        f"model.init_from: {source}: none of its {len(weights)} tensors fits the encoder {type(encoder).__name__}; "
        f"first in the file: {first}; first in the encoder: {own}"
    )


def _described(name: str, tensor: Tensor) -> str:
    return f"{name} {list(tensor.shape)}"


def _shortened(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
