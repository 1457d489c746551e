"""How many scans are the study's own: those that a model was trained on evaluate nothing."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from contrasweep.services.data.sources import path_digest
from contrasweep.services.records.answers import Answer
from contrasweep.services.records.folder import OuterFolder, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.trainers.data.participants import Subject
from contrasweep.trainers.data.splits import Splits, store_splits
from contrasweep.trainers.data.store import MANIFEST, VolumeStore
from contrasweep.trainers.errors import UserError

_READERS = 8


class OwnScans(Answer):
    """How many scans of a cohort are the study's: `trained` on or chosen by, and in the `test` split of its sweep."""

    trained: int
    test: int


def own_scans(folder: SweepFolder, settings: Settings, scans: Sequence[Subject]) -> OwnScans | None:
    """Those of the sweep in `folder`, found by the sha256 of the images' files; None where no store of it is here."""
    try:
        known = list(_stores(folder, settings))
    except (UserError, OSError):
        return None
    if not known:
        return None
    trained: set[str] = set()
    test: set[str] = set()
    for store, splits in known:
        sides = {name: side for side, ids in splits.sides.items() for name in ids}
        for scan in store.subjects:
            if scan.id in sides:
                (test if sides[scan.id] == "test" else trained).update(scan.digests)
    paths = [path for scan in scans for path in scan.paths]
    with ThreadPoolExecutor(_READERS) as pool:
        digests = dict(zip(paths, pool.map(path_digest, paths), strict=True))
    own = [{digests[path] for path in scan.paths} for scan in scans]
    return OwnScans(trained=sum(bool(one & trained) for one in own), test=sum(bool(one & test) for one in own))


def _stores(folder: SweepFolder, settings: Settings) -> Iterator[tuple[VolumeStore, Splits]]:
    """The sweep's volume stores, as far as they are here, and who is where in its search."""
    split = folder.load().spec.data.stratified_split
    number = folder.number if isinstance(folder, OuterFolder) else 0
    for version in folder.read_state().volumes.split():
        for manifest in settings.volumes.glob(f"*-{version[:12]}/{MANIFEST}"):
            store = VolumeStore.open_unchecked(manifest.parent)
            yield store, store_splits(store, split).searches[number]
