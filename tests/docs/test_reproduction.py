"""The document of what studies came to is made of their outcomes."""

from pathlib import Path

from contrasweep.services.studies.reproduction import PAGE, read_outcomes, reproduction

ROOT = Path(__file__).parents[2]


def test_the_document_is_that_of_the_outcomes() -> None:
    """`contrasweep study report --from tests/results --export docs` makes it."""
    assert (ROOT / "docs" / PAGE).read_text("utf-8") == reproduction(read_outcomes(ROOT / "tests/results"))
