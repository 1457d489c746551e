from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data.readers import Image, UnreadableError
from contrasweep.trainers.data.transforms import build_transforms
from tests.trainers.data.transforms import heads

CHECK = build_transforms([{"SkullStripped": {}}], Path())


def brain() -> NDArray[np.float32]:
    head = heads.volume()
    return np.where(head > 1, head, 0)[None]


def test_a_stripped_brain_passes_as_it_is() -> None:
    np.testing.assert_array_equal(CHECK(Image(values=brain()), {}), brain())


def test_air_that_is_not_zero_is_refused() -> None:
    noise = np.random.default_rng(0).random(brain().shape).astype(np.float32)
    with pytest.raises(UnreadableError, match="is not skull-stripped: 0% of the voxels are zero"):
        CHECK(Image(values=brain() + noise), {})


def test_a_neck_that_leaves_the_image_is_refused() -> None:
    cut = brain()
    cut[0, 10:26, 8:24, :6] = 50
    with pytest.raises(UnreadableError, match="25% of one face are not"):
        CHECK(Image(values=cut), {})


def test_the_tools_are_named_and_whether_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bet").write_text("#!/bin/sh\n")
    (tmp_path / "bet").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreadableError) as error:
        CHECK(Image(values=brain() + 1), {})
    assert "`bet IN OUT -f 0.5` (found on PATH)" in str(error.value)
    assert "`mri_synthstrip -i IN -o OUT` (not found on PATH)" in str(error.value)
