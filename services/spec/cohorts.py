"""What is wrong with an external cohort, told with its name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from contrasweep.trainers.config import CohortConfig
from contrasweep.trainers.errors import UserError

_FIELD = re.compile(rf"\bdata\.(?=(?:{'|'.join(CohortConfig.model_fields)})\b)")


@contextmanager
def naming_cohort(name: str) -> Iterator[None]:
    """Put a cohort's name in front of what its user did wrong, where it reads as if it were the study's data.

    >>> with naming_cohort("adni"):
    ...     raise UserError("data.label: no column 'age' in adni.tsv")
    Traceback (most recent call last):
    contrasweep.trainers.errors.UserError: data.external (adni): label: no column 'age' in adni.tsv
    """
    try:
        yield
    except UserError as error:
        said = _FIELD.sub("", str(error))
        source = "spec: " if said.startswith("spec: ") else ""
        raise UserError(f"{source}data.external ({name}): {said.removeprefix(source)}") from error
