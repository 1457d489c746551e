"""A served model, and a cohort of another study to evaluate it on."""

from pathlib import Path

import numpy as np

from contrasweep.trainers.served import Calibration, save_served
from tests.trainers.served import served_sample

PEOPLE = 24
IMAGES = "{participant_id}_{visit}.png"


def model(path: Path) -> Path:
    """A model with a calibration, that of predictions which are 40 too high."""
    labels = np.linspace(20, 80, 200)
    said = 60 + labels / 2 + np.random.default_rng(0).normal(0, 4, 200)
    calibration = Calibration.fit(said, labels, range(200))
    told = served_sample.config().model_copy(update={"calibration": calibration})
    save_served(path / "model", {"seed-0": served_sample.member(path / "run")}, told, path)
    return path / "model"


def write_cohort(path: Path) -> Path:
    """24 people of 20 to 89 years, half of them with two sessions, and one without an image; `few.tsv` has 6 scans."""
    lines = ["participant_id\tvisit\tage\tsex\tscanner\tdose"]
    for number in range(PEOPLE):
        for visit in ("a", "b") if number % 2 else ("a",):
            age = 20 + 3 * number
            served_sample.picture(path / f"p{number}_{visit}.png", age + (visit == "b") / 2)
            lines.append(f"p{number}\t{visit}\t{age}\t{'FM'[number % 2]}\tone\t{number % 3}")
    (path / "few.tsv").write_text("\n".join(lines[:7]) + "\n")
    lines += ["gone\ta\t50\tF\tone\t0", "p0\tb\tn/a\tF\tone\t0"]
    served_sample.picture(path / "p0_b.png", 20)
    (path / "people.tsv").write_text("\n".join(lines) + "\n")
    return path
