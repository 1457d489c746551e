"""This machine: GPUs, shared memory, limits."""

import resource
import shutil
import subprocess
from pathlib import Path

from contrasweep.services.doctor.finding import Found, fail, ok, warn
from contrasweep.services.settings import Settings

SHARED_MEMORY = Path("/dev/shm")
OPEN_FILES = 8192
SMI_S = 5.0


def gpu() -> Found:
    """What NVIDIA's driver sees, and whether torch can use it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ok("no GPU: CPU training")
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=SMI_S)
    except subprocess.TimeoutExpired:
        return fail(f"nvidia-smi did not answer within {SMI_S:.0f} s", "look at the driver: dmesg")
    if said.returncode or not said.stdout.strip():
        text = (said.stdout + said.stderr).strip()
        return warn(f"nvidia-smi is there but finds no GPU: {text}", "see to the driver, unless training is on CPUs")
    return _torch_on(said.stdout.splitlines())


def _torch_on(cards: list[str]) -> Found:
    import torch

    seen = f"{len(cards)} GPU(s): {cards[0]}"
    if torch.version.cuda is None:
        return fail(f"{seen}; torch {torch.__version__} is a build for CPUs", "install torch's build for CUDA")
    if not torch.cuda.is_available():
        return fail(
            f"{seen}; torch {torch.__version__} for CUDA {torch.version.cuda} cannot use it",
            "the driver must be new enough for that CUDA, and CUDA_VISIBLE_DEVICES must not hide the GPU",
        )
    nccl = ".".join(map(str, torch.cuda.nccl.version()))
    return ok(f"{torch.cuda.device_count()} of {seen}; CUDA {torch.version.cuda}, NCCL {nccl}")


def shared_memory(settings: Settings) -> Found | None:
    """Decoded data live in Ray's object store, which lives in shared memory."""
    if not SHARED_MEMORY.is_dir():
        return None
    total, needed = shutil.disk_usage(SHARED_MEMORY).total / 1e9, settings.resident_limit_bytes / 1e9
    said = f"{SHARED_MEMORY} has {total:.1f} GB, data up to {needed:.1f} GB are kept in it"
    if total >= needed:
        return ok(said)
    return warn(said, "docker run --shm-size, a larger emptyDir in Kubernetes, or CONTRASWEEP_RESIDENT_LIMIT_GB")


def open_files() -> Found:
    """Ray needs many; it raises the soft limit to the hard one by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return ok("no limit" if hard == resource.RLIM_INFINITY else f"up to {hard}")
    return warn(f"at most {hard} open files", f"Ray wants {OPEN_FILES} or more: ulimit -Hn")
