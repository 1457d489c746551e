"""The folders of the settings: can they be written, is there room, and do the nodes of a cluster see them."""

import fcntl
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import psutil
from upath import UPath

from contrasweep.services.doctor.finding import Found, fail, ok, warn
from contrasweep.services.locks import LIMIT_S, can_lock, has_flock, holding, is_held, patience
from contrasweep.services.settings import Settings

FAIL_GB, WARN_GB = 1.0, 10.0
LOCAL_FILE_SYSTEMS = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}


def home(settings: Settings) -> Found:
    """The folder of everything local."""
    return _folder(settings.home, "CONTRASWEEP_HOME")


def storage(settings: Settings) -> Found:
    """The folder of the checkpoints."""
    return _folder(Path(settings.storage_path), "CONTRASWEEP_STORAGE_PATH")


def locks(settings: Settings) -> Found | None:
    """Whether a lock that is held in the home and the storage path is seen to be, and which kind it is."""
    if not can_lock(fcntl.lockf, _existing(settings.home)) and settings.optuna_storage.startswith("sqlite"):
        where = "set CONTRASWEEP_OPTUNA_STORAGE and CONTRASWEEP_TRACKING_URI to servers, or to files on another disk"
        return fail(f"SQLite cannot lock its files in {settings.home}", where)
    weaker = []
    for path in dict.fromkeys((settings.home, Path(settings.storage_path))):
        folder = _existing(path)
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as name:
                lock = Path(name) / "lock"
                with holding(lock, patience(0)) as held:
                    works = held is not None and is_held(lock)
                if not works or is_held(lock):
                    return fail(f"a lock in {path} does not hold", "set CONTRASWEEP_HOME to a folder on another disk")
        except OSError:  # as `home` and `storage` say
            return None
        weaker += [] if has_flock(folder) else [f"{path} ({_file_system(folder)})"]
    if not weaker:
        return ok("flock works")
    return warn(
        f"no flock that all machines see in {', '.join(weaker)}: locks are files that their holders touch",
        f"mount it with flock; or nothing: after a driver died on another machine, going on waits {LIMIT_S:.0f} s",
    )


def volumes(settings: Settings) -> Found:
    """The volume stores: a folder or a URL."""
    where = settings.volumes
    if not where.protocol or where.protocol == "file":
        return _folder(Path(str(where)), "CONTRASWEEP_VOLUMES")
    return _bucket(where)


def shared(settings: Settings) -> Found | None:
    """On a cluster, home and storage are folders that all nodes see."""
    if settings.ray_address == "local" and not settings.jobs_address:
        return None
    folders = {"home": settings.home, "storage": Path(settings.storage_path)}
    local = [f"{name} {path} ({_file_system(path)})" for name, path in folders.items() if _is_local(path)]
    if not local:
        return ok("home and storage are not on a disk of this machine alone")
    return warn(
        f"a cluster is set, but on a disk of this machine: {', '.join(local)}",
        "the service, the head and every worker must see the same folders; fine where this machine only submits",
    )


def _folder(path: Path, variable: str) -> Found:
    existing = _existing(path)
    made = "" if existing == path else ", made on first use"
    try:
        with tempfile.TemporaryFile(dir=existing, prefix=".doctor-") as file:
            file.write(b"\0" * 4096)
            file.flush()
    except OSError as error:
        return fail(f"{path} cannot be written: {error.strerror}", f"see to {existing}, or set {variable}")
    free_gb = shutil.disk_usage(existing).free / 1e9
    said = f"{path}{made}, {free_gb:.1f} GB free"
    advice = f"make room, or set {variable} to another disk"
    if free_gb < FAIL_GB:
        return fail(said, advice)
    return warn(said, advice) if free_gb < WARN_GB else ok(said)


def _existing(path: Path) -> Path:
    """The folder, or, where it is not there yet, the one that it will be made in."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _bucket(where: UPath) -> Found:
    probe = where / f".doctor-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except Exception as error:  # every store has errors of its own
        return fail(f"{where} cannot be written: {type(error).__name__}: {error}", "see to its credentials and address")
    return ok(f"{where} can be written")


def _is_local(path: Path) -> bool:
    return _file_system(path) in LOCAL_FILE_SYSTEMS


def _file_system(path: Path) -> str:
    """Type of the file system that a folder is on, or will be."""
    real = os.path.realpath(path)
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    above = [mount for mount in mounts if real == mount or real.startswith(mount.rstrip("/") + "/")]
    return mounts[max(above, key=len)] if above else "unknown"
