"""The maps for newcomers name only what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_of_a_map_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(rf"(?:{'|'.join(map(re.escape, TOP))})/[\w./-]*\w", text)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_room_is_on_the_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "services").glob("*/__init__.py")]
    assert [room for room in rooms if f"`services/{room}`" not in text] == []
