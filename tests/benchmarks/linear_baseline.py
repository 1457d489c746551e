"""What a linear model reaches on the splits of a volume store: principal components and ridge.

    python tests/benchmarks/linear_baseline.py .contrasweep/volumes/NAME-VERSION

Penalty and number of components are chosen on the validation split, as a sweep chooses its configuration.
"""

import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from contrasweep.trainers.data.splits import Splits
from contrasweep.trainers.data.store import Rows, VolumeStore
from contrasweep.trainers.metrics import bootstrap, mae

COMPONENTS = (50, 100, 200, 400)
PENALTIES = np.logspace(1, 7, 25)


def main() -> None:
    """Fit on the training split, choose on validation, print the test MAE with its interval."""
    store = VolumeStore.open(Path(sys.argv[1]))
    table = Table("splits", "model", "validation MAE", "test MAE [95 %]")
    for path in sorted(store.folder.glob("splits-*.json")):
        splits = Splits.model_validate(json.loads(path.read_text())["splits"])
        train, validation, test = (store.load(part) for part in (splits.train, splits.validation, splits.test))
        mean = np.full(len(test.labels), train.labels.mean())
        table.add_row(path.stem, "predict the mean", "", _interval(test.labels, mean))
        for components in COMPONENTS:
            if components < len(train.labels):
                held_out, predicted = _linear(train, validation, test, components)
                table.add_row("", f"PCA {components} + ridge", f"{held_out:.3f}", _interval(test.labels, predicted))
    Console().print(table)


def _linear(train: Rows, validation: Rows, test: Rows, components: int) -> tuple[float, np.ndarray]:
    pca = PCA(components, svd_solver="full").fit(_flat(train))
    features = [pca.transform(_flat(rows)) for rows in (train, validation, test)]
    fits = [Ridge(penalty).fit(features[0], train.labels) for penalty in PENALTIES]
    errors = [float(mae(validation.labels, fit.predict(features[1]))) for fit in fits]
    best = int(np.argmin(errors))
    return errors[best], fits[best].predict(features[2])


def _flat(rows: Rows) -> np.ndarray:
    return rows.images.reshape(len(rows.images), -1)


def _interval(labels: np.ndarray, predicted: np.ndarray) -> str:
    found = bootstrap(labels, predicted[None])["mae"]
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


if __name__ == "__main__":
    main()
