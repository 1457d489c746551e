import subprocess
from pathlib import Path

import pytest

from contrasweep.services.records import code
from contrasweep.services.records.code import PARTS, code_digest, commit, copy_code
from contrasweep.trainers.package import PACKAGE


def test_a_copy_is_whole_and_nothing_else(tmp_path: Path) -> None:
    copy_code(tmp_path)
    (package,) = tmp_path.iterdir()
    assert {path.name for path in package.iterdir()} == {"__init__.py", *PARTS}
    assert (package / "services" / "records" / "code.py").read_bytes() == Path(code.__file__).read_bytes()
    assert list(tmp_path.rglob("*.html")), "templates are part of it"
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_digest_is_a_sha256() -> None:
    assert len(bytes.fromhex(code_digest())) == 32
    assert code_digest() == code_digest()


def test_the_commit_is_that_of_the_checkout() -> None:
    command = ["git", "-C", str(PACKAGE.resolve()), "rev-parse", "HEAD"]
    known = subprocess.run(command, capture_output=True, text=True)
    if known.returncode:
        pytest.skip("not a checkout")
    assert known.stdout.startswith(commit().removesuffix("+")) and commit()


def test_outside_of_a_checkout_no_commit_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    assert commit() == ""
