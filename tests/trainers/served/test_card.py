from pathlib import Path

import pytest

from contrasweep.trainers.config import DataConfig
from contrasweep.trainers.served import ServedConfig
from contrasweep.trainers.served.card import CARD, card
from tests.trainers import tiny
from tests.trainers.served import served_sample

RUNS = {"seed-0": tiny.run(seed=0, epochs=1), "seed-1": tiny.run(seed=1, epochs=1)}


def test_a_card_says_what_for_whom_and_what_not(tmp_path: Path) -> None:
    told = served_sample.config(unit="years", licence="CC BY 4.0", covariates=["tiv"], transforms=[{"Grey": {}}])
    groups = {"sex": {"F": 10, "M": 8}, "site": {f"s{number}": 1 for number in range(18)}}
    told = told.model_copy(update={"trained": told.trained.model_copy(update={"groups": groups})})
    text = card(told, RUNS, "**MAE 4.2**")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# age, predicted from images",
        "## What it predicts, and from what",
        "## What it was trained on",
        "## What it is not for",
        "## Licence",
        "## How well",
        "## Versions",
    ]
    for said in (
        "The mean over 2 runs (seed-0, seed-1) of tiny-1c2e, trial 3: encoder",
        "age, in years, from images that are prepared to the shape [1, 16, 16], and from tiv",
        '- `{"Grey": {}}`',
        "18 subjects, 18 scans; age from 20 to 80 years",
        "- sex: F 10, M 8",
        "s11 1, 6 others 6",
        "not for diagnosis",
        "CC BY 4.0.",
        "**MAE 4.2**",
        "contrasweep 0.1.0.",
    ):
        assert said in text, said


def test_what_nobody_says_is_not_stated(tmp_path: Path) -> None:
    told = ServedConfig.read(served_sample.model(tmp_path, seeds=1))
    text = (tmp_path / "model" / CARD).read_text()
    assert text == card(told, {"seed-0": RUNS["seed-0"]})
    assert "## Licence\n\nnot stated.\n" in text and "Nothing is told of that here." in text


@pytest.mark.parametrize("field", ["unit", "licence"])
@pytest.mark.parametrize("text", ["", " ", "two\nlines"])
def test_unit_and_licence_are_text_on_a_line(field: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be text on one line"):
        DataConfig.model_validate({"participants": "p.tsv", "image": "{a}.png", "label": "age", field: text})


def test_errors_are_in_the_unit_or_in_units_of_the_label() -> None:
    told = {"participants": "p.tsv", "image": "{a}.png", "label": "age"}
    assert DataConfig.model_validate(told).in_unit == "units of age"
    assert DataConfig.model_validate({**told, "unit": "years"}).in_unit == "years"
