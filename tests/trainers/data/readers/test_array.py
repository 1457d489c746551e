import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError

VALUES = np.arange(24, dtype=np.float64).reshape(2, 3, 4)


def reason(path: Path) -> str:
    with pytest.raises(UnreadableError) as caught:
        readers.read(path)
    with pytest.raises(UnreadableError):
        readers.read_header(path)
    return str(caught.value)


@pytest.mark.parametrize("values", [VALUES, np.asfortranarray(VALUES), VALUES > 3, VALUES.astype(">i2")])
def test_values_and_axes_are_kept(values: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", scan=values)
    for name in ("a.npy", "a.npz"):
        np.testing.assert_array_equal(readers.read(tmp_path / name).values, values)


def test_a_vector_becomes_one_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.arange(5))
    assert readers.read(tmp_path / "v.npy").values.shape == readers.read_header(tmp_path / "v.npy").shape == (1, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([{}]), "holds object; real numbers are needed"),
        (np.array(["a"]), "holds <U1; real numbers are needed"),
        (np.ones(3, complex), "holds complex128; real numbers are needed"),
        (np.array(5.0), "holds no values"),
        (np.ones((2, 0)), "holds no values: its shape is 2 x 0"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(values: Any, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    assert reason(tmp_path / "a.npy").startswith(message)


def test_claims_beyond_the_file_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (1000, 1000, 1000)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + bytes(16))
    assert reason(tmp_path / "a.npy").startswith("ends early: its header promises 4000000")


def test_an_archive_of_several_names_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scan=VALUES, mask=VALUES > 3)
    assert reason(tmp_path / "a.npz") == "holds 2 arrays: scan, mask; a file with one is needed"
    np.savez(tmp_path / "none.npz")
    assert reason(tmp_path / "none.npz") == "holds 0 arrays: none; a file with one is needed"
