"""What is wrong with one of the things that configurations read, told with the options that choose it."""

from collections.abc import Iterator
from contextlib import contextmanager

from contrasweep.services.spec.spec import Options
from contrasweep.trainers.errors import UserError


def place(options: Options) -> str:
    """Where a spec has options.

    >>> place((("size", "small"), ("train", "half")))
    'search.choices: size.small, train.half'
    """
    return f"search.choices: {', '.join(map('.'.join, options))}"


@contextmanager
def naming_options(options: Options, source: object = "spec") -> Iterator[None]:
    """Put options in front of what the user did wrong in what they choose; where there is no choice, nothing.

    What names its `source`, the spec's file, goes on to begin with it.

    >>> with naming_options((("train", "half"),)):
    ...     raise UserError("data.train.size: 0.5 is not allowed")
    Traceback (most recent call last):
    contrasweep.trainers.errors.UserError: search.choices: train.half: data.train.size: 0.5 is not allowed
    """
    try:
        yield
    except UserError as error:
        if not options:
            raise
        said = str(error)
        begins = f"{source}: " if said.startswith(f"{source}: ") else ""
        raise UserError(f"{begins}{place(options)}: {said.removeprefix(begins)}") from error
