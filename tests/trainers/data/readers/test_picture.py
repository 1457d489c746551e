from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError
from tests.trainers.data.scans import write_picture, write_tiff_pages

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_levels_are_kept(name: str, dtype: str, tmp_path: Path) -> None:
    levels = GREY.astype(dtype) * (np.iinfo(dtype).max // 5)
    np.testing.assert_array_equal(readers.read(write_picture(tmp_path / name, levels)).values, levels[None])


def test_floating_point_is_kept(tmp_path: Path) -> None:
    values = GREY.astype(np.float32) / 3 - 1
    np.testing.assert_array_equal(readers.read(write_picture(tmp_path / "a.tif", values)).values, values[None])


@pytest.mark.parametrize(("dtype", "name"), [("int8", "signed 8-bit"), ("uint32", "unsigned 32-bit")])
def test_numbers_that_pillow_takes_for_others_are_refused(dtype: str, name: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype))
    with pytest.raises(UnreadableError, match=f"holds {name} numbers"):
        readers.read(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_negative_numbers_are_kept(dtype: str, tmp_path: Path) -> None:
    levels = GREY.astype(dtype) - 3
    tifffile.imwrite(tmp_path / "a.tif", levels)
    np.testing.assert_array_equal(readers.read(tmp_path / "a.tif").values, levels[None])


@pytest.mark.parametrize("name", ["a.bmp", "a.jp2"])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_bmp_and_jpeg_2000_are_read_as_stored(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image = readers.read(write_picture(tmp_path / name, values))
    np.testing.assert_array_equal(image.values, np.moveaxis(values.reshape(20, 30, -1), -1, 0))
    assert readers.read_header(tmp_path / name).shape == image.values.shape


def test_jpeg_2000_keeps_16_bits(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (20, 30), dtype=np.uint16)
    np.testing.assert_array_equal(readers.read(write_picture(tmp_path / "a.jp2", levels)).values, levels[None])


def test_colours_are_channels(tmp_path: Path) -> None:
    colours = np.stack([GREY, GREY + 10, GREY + 20], axis=-1)
    np.testing.assert_array_equal(
        readers.read(write_picture(tmp_path / "a.png", colours)).values, np.moveaxis(colours, -1, 0)
    )


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(GREY, mode="L").convert("P")
    picture.putpalette([255 - level for level in range(256) for _ in "RGB"])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(readers.read(tmp_path / "a.png").values, np.stack([255 - GREY] * 3))


def test_pages_are_the_first_axis_of_a_volume(tmp_path: Path) -> None:
    pages = [GREY, GREY + 10, GREY + 20, GREY + 30]
    path = write_tiff_pages(tmp_path / "a.tif", pages)
    np.testing.assert_array_equal(readers.read(path).values, np.stack(pages)[None])
    assert readers.read_header(path).shape == (1, 4, 2, 3)


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    path = write_tiff_pages(tmp_path / "a.tif", [GREY, GREY.T])
    with pytest.raises(UnreadableError, match="its 2 pages differ: L 2 x 3, L 3 x 2"):
        readers.read(path)


def test_white_as_zero_is_turned_or_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert (255 - GREY).tobytes() in (tmp_path / "a.tif").read_bytes()
    np.testing.assert_array_equal(readers.read(tmp_path / "a.tif").values, GREY[None])
    path = write_picture(tmp_path / "deep.tif", GREY.astype(np.uint16))
    black_is_zero, white_is_zero = (bytes([6, 1, 3, 0, 1, 0, 0, 0, kind, 0, 0, 0]) for kind in (1, 0))
    content = path.read_bytes()
    assert content.count(black_is_zero) == 1
    path.write_bytes(content.replace(black_is_zero, white_is_zero))
    with pytest.raises(UnreadableError, match="white as zero"):
        readers.read(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
def test_a_picture_is_turned_as_its_exif_says(name: str, tmp_path: Path) -> None:
    values = np.repeat(np.repeat(GREY * 40, 8, axis=0), 8, axis=1)
    exif = PIL.Image.Exif()
    exif[274] = 6  # to be shown turned by 90 degrees clockwise
    PIL.Image.fromarray(values).save(tmp_path / name, exif=exif)
    image = readers.read(tmp_path / name)
    np.testing.assert_allclose(image.values[0], np.rot90(values, -1), atol=2)
    assert readers.read_header(tmp_path / name).shape == image.values.shape == (1, 24, 16)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(GREY + shift) for shift in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match="is an animation of 3 frames"):
        readers.read(tmp_path / "a.png")


def test_another_format_under_this_name_is_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(GREY).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(UnreadableError, match="is no PNG, JPEG or TIFF picture"):
        readers.read(tmp_path / "a.png")


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    PIL.Image.new("1", (20000, 20000)).save(tmp_path / "a.png")
    for read in (readers.read, readers.read_header):
        with pytest.raises(UnreadableError, match="400000000 pixels"):
            read(tmp_path / "a.png")
