from pathlib import Path

from contrasweep.services.records import code
from contrasweep.services.records.code import PARTS, code_digest, copy_code


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
