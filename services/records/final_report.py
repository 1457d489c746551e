"""What the locked test split said of a sweep's best configuration, as `final.json` keeps it."""

from pathlib import Path
from typing import Any

from pydantic import model_validator

from services.records.answers import Final, TestFigures, fields_of
from services.records.parameters import Parameters
from trainers.atomic import write_atomically


class FinalReport(TestFigures):
    """The test split's figures with all that they were computed from.

    Attributes:
        params, training: of the configuration.
        scans, subjects, labels, predictions: of the test split, in the store's order: id, whose scan it is,
            label, and predictions by seed. Each of a subject's scans counts in the errors.
    """

    params: Parameters
    training: Parameters
    scans: tuple[str, ...]
    subjects: tuple[str, ...]
    labels: tuple[float, ...]
    predictions: dict[int, tuple[float, ...]]

    @model_validator(mode="before")
    @classmethod
    def _of_single_scans(cls, given: Any) -> Any:
        """Reports of 0.1.0, where each subject had one scan, name the subjects alone."""
        if isinstance(given, dict) and "scans" not in given and "subjects" in given:
            return {**given, "scans": given["subjects"]}
        return given

    @property
    def n_test(self) -> int:
        """How many subjects the test split has."""
        return len(set(self.subjects))

    @property
    def sample(self) -> str:
        """The test split's size in words: `7 subjects`, or `7 subjects (9 scans)`."""
        scans = f" ({len(self.scans)} scans)" if len(self.scans) > self.n_test else ""
        return f"{self.n_test} subjects{scans}"

    def told(self) -> Final:
        """What the verbs answer of it."""
        return Final(**fields_of(TestFigures, self), sample=self.sample)

    @classmethod
    def read(cls, path: Path) -> "FinalReport":
        """Read `final.json`."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write `final.json`, whole or not at all."""
        write_atomically(path, self.model_dump_json(indent=1).encode())
