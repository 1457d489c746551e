"""Files with secrets in them are their owner's alone."""

import os
import stat
from pathlib import Path

from contrasweep.services.cluster.environment import TOKEN_PATH
from contrasweep.services.doctor.finding import Found, fail, ok
from contrasweep.services.service.tokens import FILE
from contrasweep.services.settings import Settings


def private_files(settings: Settings) -> Found | None:
    """Tokens, hashes of tokens, and passwords of stores."""
    there = [path for path in _candidates(settings) if path.is_file()]
    public = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if public:
        names = " ".join(map(str, public))
        return fail(f"others can read or write {names}", f"chmod 600 {names}, and make new secrets")
    return ok(f"{', '.join(map(str, there))}: yours alone") if there else None


def _candidates(settings: Settings) -> list[Path]:
    named = [Path(os.environ[name]) for name in (TOKEN_PATH, "PGPASSFILE") if os.environ.get(name)]
    named += [settings.token_path] if settings.token_path else []
    own = [settings.home / "ray_token", settings.home / FILE]
    kept = [".mlflow/credentials", ".pgpass"]
    return list(dict.fromkeys([*named, *own, *(Path.home() / name for name in kept)]))
