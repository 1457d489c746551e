"""Optuna's storage, where it cannot be opened; what studies hold is tested through the searcher."""

from pathlib import Path

import pytest

from contrasweep.services.settings import Settings
from contrasweep.services.stores.optuna import open_storage
from contrasweep.trainers.errors import UserError


@pytest.mark.parametrize("address", ["nonsense:hunter2", "nodatabase://user:hunter2@host/optuna"])
def test_a_storage_that_cannot_be_opened_is_one_line_without_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(UserError, match="CONTRASWEEP_OPTUNA_STORAGE: the storage cannot be opened") as caught:
        open_storage(Settings(home=tmp_path / "home", optuna_storage=address))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
