"""Bearer tokens: who may ask the service for what. The file holds their hashes, never a token."""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from contrasweep.services.locks import holding
from contrasweep.trainers.errors import UserError, nearest

Role: TypeAlias = Literal["viewer", "submitter", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least: who has one may do all that those before it may."""

FILE = "tokens.json"
_TOKEN = re.compile(r"cs_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_NOBODY = "0" * 64
_DAY_S = 86_400.0
_LOOK_AGAIN_S = 1.0

log = logging.getLogger("contrasweep.service")


@dataclass(frozen=True)
class Identity:
    """Whose token it is, and as what."""

    user: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether all that `role` may is allowed.

        >>> Identity("ada", "submitter").may("viewer"), Identity("ada", "submitter").may("admin")
        (True, False)
        """
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Token:
    """One token as it is kept: `digest` is the sha256 of the whole token, times are seconds since 1970."""

    id: str
    user: str
    role: Role
    created: float
    expires: float | None
    digest: str


class Tokens:
    """The tokens in a file that only its owner may read; several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Token] = {}
        self._stamp: tuple[int, ...] | None = None
        self._looked = -_LOOK_AGAIN_S

    def create(self, user: str, role: str, days: float | None = None) -> str:
        """A new token, which nobody can tell again. Raises UserError on a name or role that is not allowed."""
        if not _USER.fullmatch(user):
            raise UserError(f"--user: {user!r} is not allowed: must be 1 to 63 of A-Z, a-z, 0-9, '.', '_', '@' and '-'")
        if role not in ROLES:
            raise UserError(f"--role: unknown role {role!r}; {nearest(role, ROLES)}")
        if days is not None and not 0 < days <= 36_500:
            raise UserError(f"--days: {days:g} is not allowed: must be above 0, up to 36500")
        name = secrets.token_hex(6)
        text = f"cs_{name}_{secrets.token_urlsafe(32)}"
        now = time.time()
        token = Token(name, user, role, now, None if days is None else now + days * _DAY_S, _digest(text))
        with self._changing() as known:
            known[name] = token
        return text

    def every(self) -> list[Token]:
        """All tokens, the oldest first."""
        return sorted(self._read().values(), key=lambda token: token.created)

    def revoke(self, name: str) -> Token:
        """Forget a token, by its id; a running service refuses it within a second. Raises UserError without one."""
        with self._changing() as known:
            if name not in known:
                raise UserError(f"no token {name!r}; {nearest(name, known)}")
            return known.pop(name)

    def whose(self, text: str) -> Identity | None:
        """Whose token `text` is, or None where it is unknown, revoked or expired; as slow for each of these."""
        self._look_again()
        match = _TOKEN.fullmatch(text)
        token = self._known.get(match[1]) if match else None
        same = hmac.compare_digest(_digest(text), token.digest if token else _NOBODY)
        if not same or token is None or (token.expires is not None and token.expires <= time.time()):
            return None
        return Identity(token.user, token.role)

    def _look_again(self) -> None:
        """Read the file again where it has changed, at most each second; one that cannot be used knows nobody."""
        if time.monotonic() - self._looked < _LOOK_AGAIN_S:
            return
        self._looked = time.monotonic()
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode)
        except OSError:
            self._known, self._stamp = {}, None
            return
        if stamp == self._stamp:
            return
        try:
            self._known = self._read()
        except UserError as error:
            log.error("nobody is let in: %s", error)
            self._known = {}
        self._stamp = stamp

    def _read(self) -> dict[str, Token]:
        try:
            with self._path.open("rb") as file:
                _check_private(self._path, os.fstat(file.fileno()))
                records = json.load(file)
            return {record["id"]: Token(**record) for record in records}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self._path} cannot be read: {error.strerror}") from error
        except UserError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{self._path} holds no tokens; restore it, or delete it and create them again") from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """The tokens, to be changed by one process at a time, and written when the block ends well."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with holding(self._path.with_suffix(".lock"), lambda: True):
                known = self._read()
                yield known
                _write_privately(self._path, json.dumps([asdict(token) for token in known.values()], indent=1))
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_mode & 0o077:
        raise UserError(f"{path} can be read or written by others (mode {status.st_mode & 0o777:o}): chmod 600 {path}")
    if status.st_uid not in (os.geteuid(), 0):
        raise UserError(f"{path} belongs to another user (uid {status.st_uid})")


def _write_privately(path: Path, text: str) -> None:
    """Replace `path`, whole or not at all, by a file that nobody else may read at any moment."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
