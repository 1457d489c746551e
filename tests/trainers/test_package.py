from pathlib import Path

from contrasweep.trainers import package
from contrasweep.trainers.package import copy_package


def test_a_copy_has_its_parts_and_nothing_compiled(tmp_path: Path) -> None:
    copy = copy_package(tmp_path)
    assert {path.name for path in copy.iterdir()} == {"__init__.py", "trainers"}
    assert (copy / "trainers" / "package.py").read_bytes() == Path(package.__file__).read_bytes()
    assert not list(copy.rglob("__pycache__"))
