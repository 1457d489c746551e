from pathlib import Path

import pytest
from rich.console import Console
from upath import UPath

from contrasweep.services.inspection.target import open_target
from contrasweep.services.settings import Settings
from contrasweep.trainers.errors import UserError
from tests.services.inspection.planted import images, store_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with one store, phantom-1."""
    store_of(tmp_path / "home/volumes/phantom-1", images(3))
    return Settings(home=tmp_path / "home")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing", r"no such file or folder; allowed: a SPEC, or a volume store$"),
        ("study.yml", r"no such file or folder; allowed: .*; did you mean '\S*/study.yaml'\?$"),
        ("phantom_1", r"no such file or folder; allowed: .*; did you mean '\S*/home/volumes/phantom-1'\?$"),
        ("empty", r"no manifest.json in it; allowed: a SPEC, or a volume store$"),
    ],
)
def test_what_is_neither_spec_nor_store_is_one_line(settings: Settings, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "study.yaml").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"^{tmp_path / name}: {reason}") as error:
        open_target(str(tmp_path / name), settings, Console())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["nowhere://bucket/store", "memory://there/is/none"])
def test_a_url_without_a_store_is_one_line(settings: Settings, url: str) -> None:
    with pytest.raises(UserError, match=f"^{url}: ") as error:
        open_target(url, settings, Console())
    assert "\n" not in str(error.value)


def test_a_store_at_a_url_is_opened(settings: Settings) -> None:
    store = store_of(UPath("memory://bucket/volumes-1"), images(3))
    assert open_target("memory://bucket/volumes-1/", settings, Console()).store.manifest == store.manifest


@pytest.mark.parametrize("content", ["", "[]", '{"splits": {"train": 3}}'])
def test_splits_that_are_none_are_named(settings: Settings, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "home/volumes/phantom-1"
    (folder / "splits-1.json").write_text(content)
    with pytest.raises(UserError, match=r"splits-1.json: is no list of splits"):
        open_target(str(folder), settings, Console())


def test_a_damaged_store_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "home/volumes/phantom-1/shard-00000.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"shard-00000.parquet missing, cut short or changed"):
        open_target(str(tmp_path / "home/volumes/phantom-1"), settings, Console())
