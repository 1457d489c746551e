import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data import scans

XRAY = np.arange(6, dtype=np.uint16).reshape(2, 3)


def reason(path: Path) -> str:
    """Why `path` is refused, by both ways of reading."""
    with pytest.raises(UnreadableError) as caught:
        readers.read(path)
    with pytest.raises(UnreadableError) as of_header:
        readers.read_header(path)
    assert str(caught.value) == str(of_header.value)
    return str(caught.value)


def test_a_missing_file_is_named_so(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.nii") == "no such file"
    assert reason(tmp_path / "a.unknown") == "no such file"


def test_a_dangling_link_names_its_target(tmp_path: Path) -> None:
    (tmp_path / "a.nii").symlink_to("annex/123.nii")
    assert reason(tmp_path / "a.nii") == "is a link to annex/123.nii, which is missing"


def test_links_in_a_circle_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.nii").symlink_to("a.nii")
    assert reason(tmp_path / "a.nii").startswith("cannot be opened: ")


def test_zero_bytes_are_empty(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").touch()
    assert reason(tmp_path / "a.nii.gz") == "is empty"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nii")
    assert reason(tmp_path / "a.nii") == "is no regular file"


def test_a_file_that_may_not_be_read_is_named_so(tmp_path: Path) -> None:
    path = scans.write_nifti(tmp_path / "a.nii", np.ones((2, 2, 2), np.float32))
    path.chmod(0)
    nobody, user = 65534, os.geteuid()
    if user == 0:  # whom no mode stops
        os.seteuid(nobody)
    try:
        assert reason(path) == "no permission to read"
    finally:
        os.seteuid(user)


def test_an_unknown_ending_gets_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "scan.tif0").write_text("x")
    assert reason(tmp_path / "scan.tif0").startswith("no reader for the ending '.tif0'; did you mean '.tif")


def test_endings_are_of_any_case(tmp_path: Path) -> None:
    path = scans.write_picture(tmp_path / "A.PNG", XRAY.astype(np.uint8))
    np.testing.assert_array_equal(readers.read(path).values, XRAY[None])


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.10008.5"])
def test_dicom_without_an_ending_is_known_by_its_magic(name: str, tmp_path: Path) -> None:
    path = scans.write_xray_dicom(tmp_path / name, XRAY)
    np.testing.assert_array_equal(readers.read(path).values, XRAY[None])


@pytest.mark.parametrize("name", ["a [1].nii", "größe*?.nii", "sub:01.nii", " .nii"])
def test_names_are_literal(name: str, tmp_path: Path) -> None:
    path = scans.write_nifti(tmp_path / name, np.ones((2, 3, 4), np.float32))
    assert readers.read(path).values.shape == (1, 2, 3, 4)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_disk_or_server_that_fails_is_no_verdict_on_a_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 2)))

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "the server is gone")

    monkeypatch.setattr(readers.get(".npy"), "read", fail)
    with pytest.raises(OSError, match="the server is gone"):
        readers.read(tmp_path / "a.npy")


def test_an_axis_of_one_has_no_negative_stride(tmp_path: Path) -> None:
    """NumPy calls such an array contiguous; torch refuses it."""
    values = np.arange(300, dtype=np.float32).reshape(1, 1, 1, 300)
    turned = np.diag([-1.0, -1, 1, 1])
    image = readers.read(scans.write_nifti(tmp_path / "a.nii", values, turned))
    assert min(image.values.strides) > 0
    np.testing.assert_array_equal(torch.from_numpy(image.values).flatten(), np.arange(300))


def test_the_longest_ending_counts(tmp_path: Path) -> None:
    path = scans.write_nifti(tmp_path / "A.dscalar.NII", np.ones((2, 3, 4), np.float32))
    assert "no CIFTI file" in reason(path)


def test_an_image_in_one_file_is_read_from_it_alone(tmp_path: Path) -> None:
    for name in ("a.nii", "missing.nii", "missing.mhd", "missing.hdr", "a.unknown"):
        assert readers.files(tmp_path / name) == (tmp_path / name,)
    (tmp_path / "folder.mhd").mkdir()
    assert readers.files(tmp_path / "folder.mhd") == (tmp_path / "folder.mhd",)
