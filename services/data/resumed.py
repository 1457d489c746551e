"""What must be as it was when a sweep began for it to go on."""

from collections.abc import Sequence

from upath import UPath

from contrasweep.trainers.config import FILES, DataConfig, SplitByFiles
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import MANIFEST, json_digest, read_manifest
from contrasweep.trainers.errors import UserError


def check_sides(config: DataConfig, subjects: Sequence[Subject], volumes: UPath, versions: str) -> None:
    """Raise UserError where a file of ids puts a scan elsewhere than when the sweep began, on stores of `versions`.

    Of several, with blanks between them, the first tells. Nothing is known where it is not in `volumes` any more.
    """
    if not isinstance(config.split, SplitByFiles) or not versions:
        return
    store = next((path.parent for path in volumes.glob(f"*-{versions.split()[0][:12]}/{MANIFEST}")), None)
    if store is None:
        return
    before = {scan.id: scan.split_cells.get(FILES, "") for scan in read_manifest(store).subjects}
    for subject in subjects:
        began, now = before.get(subject.id), subject.split_cells[FILES]
        if began is not None and began != now:
            files = config.split.files.named
            raise UserError(
                f"data.split.files: by {files.get(now) or files.get(began)} '{subject.id}' is in {_side(now)}; "
                f"when the sweep began it was in {_side(began)}; restore the file, or give the spec another name"
            )


def check_volumes(sweep: str, began: str, version: str) -> str:
    """The version of the volumes. Raises UserError where the `sweep` `began` on another one, "" if unknown."""
    if began not in ("", version):
        raise UserError(
            f"sweep {sweep} began on volumes {_short(began)}, but the data, or how this version keeps them, have "
            f"changed and make {_short(version)} now; restore them, or give the spec another name"
        )
    return version


def check_training(seen: Sequence[Splits], sweep: str, began: str) -> str:
    """The digest of what is trained on, by each view of the data that runs have.

    Raises UserError where it was another when the `sweep` began, "" if unknown.

    No store's version has the cells that `data.train.where` reads.
    """
    told = [[splits.train, splits.unlabelled] for splits in seen]
    digest = json_digest(told[0] if len(told) == 1 else told)
    if began not in ("", digest):
        raise UserError(
            f"sweep {sweep}: data.train leaves other scans to train on than when it began; restore the table, or give "
            "the spec another name"
        )
    return digest


def _short(versions: str) -> str:
    return ", ".join(version[:12] for version in versions.split())


def _side(name: str) -> str:
    return f"the {name} split" if name else "no split"
