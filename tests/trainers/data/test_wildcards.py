"""Looking names up by a pattern gives what trying it on every name would."""

import fnmatch
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.trainers.data.wildcards import Folders, Level

NAMES = ["a", "ab", "aab", "b.nii", ".a", "b[a].nii", "a*b", "ba.nii", "é.nii"]
PATTERNS = ["[ab]*", "[!a]*", "*[[]a]*", "a[*]b", "*[.]n*"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("names")
    for name in NAMES:
        (made / name).mkdir()
    return made


@given(st.text(st.sampled_from("ab*?.né"), min_size=1) | st.sampled_from(PATTERNS))
def test_as_if_every_name_were_tried(folder: Path, pattern: str) -> None:
    found = Folders().matches(folder, [Level(pattern, pattern)])
    fitting = [n for n in NAMES if fnmatch.fnmatchcase(n, pattern) and n.startswith(".") <= pattern.startswith(".")]
    if pattern in NAMES:
        fitting = [pattern]
    assert [path for path in found if path.name in NAMES] == sorted(folder / name for name in fitting)


def test_a_folder_is_listed_once_and_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, real = [], os.listdir

    def listing(path: Path) -> list[str]:
        listed.append(path.name)
        return real(path)

    monkeypatch.setattr("os.listdir", listing)
    folders = Folders()
    for name in ("a", "ab", "a"):
        folders.matches(folder, [Level(f"{name}?", f"{name}?"), Level("*", "*")])
    assert listed == [folder.name, "ab", "aab"][:2]
