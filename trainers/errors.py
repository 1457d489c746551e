"""What a user can do wrong, said in one line."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class UserError(ValueError):
    """A mistake in what the user gave us; the message is one line and complete, the exit code is 2.

    The message names the file, the field and the value, says what is allowed and offers the nearest
    name. A bug of ours is never a UserError.
    """


class Damaged(UserError):
    """A file that this program wrote does not read as it was written; the message names it and says `why`."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.why}"


class Diverged(RuntimeError):
    """Training came to numbers that are not finite; the same run would come to them again."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`allowed: a, b, c`, with `did you mean 'b'?` in front where one is close to `name`.

    >>> nearest("dynlocrap", ["dynlocrep", "supremix"])
    "did you mean 'dynlocrep'? allowed: dynlocrep, supremix"
    """
    names = sorted(allowed)
    return f"{did_you_mean(name, names)}allowed: {', '.join(names) or 'none'}"


def did_you_mean(name: str, allowed: Sequence[str]) -> str:
    """`did you mean 'b'? ` with a blank behind it, or nothing where none is close to `name`."""
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"did you mean '{close[0]}'? " if close else ""
