"""Evidence of a small study, of which it is known what is in it."""

from collections.abc import Sequence

import numpy as np

from contrasweep.trainers.analyses import Evidence, Reading

EPOCHS = (1, 5, 20)
SIZES = (50, 100, 200, 400)


def evidence(
    points: Sequence[str] = ("n50", "n100", "n200", "n400"),
    *,
    scans: int = 40,
    seeds: int = 2,
    folds: int = 0,
    scans_of_each: int = 1,
    seed: int = 0,
) -> Evidence:
    """Methods of four points each, of which later ones have more people, smaller errors and a smoother embedding.

    The embedding is a curve over the label, and noise that falls over epochs. Labels are whole years. There are two
    sexes, and two sites of which the embedding knows nothing.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(20, 60, scans // scans_of_each), scans_of_each).astype(np.float64)
    runs = [(one, fold) for one in range(seeds) for fold in (range(folds) if folds else [None])]
    curve = np.column_stack([np.cos(labels / 20), np.sin(labels / 20), labels / 40, np.ones(scans), labels**2 / 4000])
    predictions, embeddings = {}, {}
    for place, name in enumerate(points):
        for one, fold in runs:
            for epoch in (0, *EPOCHS):
                reading = Reading(name, one, fold, epoch, "projection", "ridge")
                noise = (4 - place % 4) * (1 + 3 / (epoch or 20))
                predictions[reading] = labels + rng.normal(0, noise, scans)
                bare = reading._replace(probe="")
                embeddings[bare] = (curve + rng.normal(0, 0.02 * noise, curve.shape)).astype(np.float32)
    return Evidence(
        label="age",
        unit="years",
        points={name: ("supremix", "vanilla")[place // 4 % 2] for place, name in enumerate(points)},
        values={name: {"people": SIZES[place % 4], "size": "small"} for place, name in enumerate(points)},
        scans=tuple(f"scan {row}" for row in range(scans)),
        subjects=tuple(f"subject {row // scans_of_each}" for row in range(scans)),
        labels=labels,
        columns={"sex": ["F", "M"] * (scans // 2), "site": ["A"] * (scans // 2) + ["B"] * (scans // 2)},
        train_labels=rng.integers(20, 60, 400).astype(np.float64),
        predictions=predictions,
        embeddings=embeddings,
    )
