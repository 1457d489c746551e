from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contrasweep.trainers.data import readers
from contrasweep.trainers.data.readers import UnreadableError

NAN = float("nan")


def read(path: Path, text: str, encoding: str = "utf-8") -> NDArray[np.float32]:
    path.write_bytes(text.encode(encoding))
    return readers.read(path).values


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "1,2.5\n-3e2,.5\n", [[1, 2.5], [-300, 0.5]]),
        ("a.tsv", "1\t2.5\n-3e2\t.5\n", [[1, 2.5], [-300, 0.5]]),
        ("a.csv", "\ufeff1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        ("a.csv", "1,2\r3,4\r", [[1, 2], [3, 4]]),
        ("a.csv", "1,2\n3,4\n\n\n", [[1, 2], [3, 4]]),
        ("a.csv", '"1","2"\n"3","4"\n', [[1, 2], [3, 4]]),
        ("a.csv", " 1 , 2\n3,4", [[1, 2], [3, 4]]),
        ("a.csv", "left,right\n1,2\n3,4\n5,7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.tsv", "V1\tV2\n1\t2\n", [[1], [2]]),
        ("a.txt", "1 2.5\n  -3e2\t.5 \n\n", [[1, 2.5], [-300, 0.5]]),
        ("a.txt", "# made by hand\n1 2\n3 5\n", [[1, 2], [3, 5]]),
        ("a.txt", "1 2 # a spike\n\n# cut here\n3 5\n", [[1, 2], [3, 5]]),
        ("a.txt", "left right\n1 2\n3 4\n5 7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.txt", "# series of sub-01\n# left right\n1 2\n3 4\n5 7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.txt", "#1\t#2\n1\t2\n3\t4\n5\t7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.1D", "#1\t#2\n1\t2\n3\t4\n5\t7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.1D", "1 2\n3 4\n5 7\n", [[1, 3, 5], [2, 4, 7]]),
        ("a.csv", "1,n/a\n,NaN\n5,6\n", [[1, NAN], [NAN, NAN], [5, 6]]),
        ("a.csv", "inf,-Infinity\n", [[np.inf, -np.inf]]),
        ("a.tsv", "0,5\t1,25\n-3,1234\t7\n", [[0.5, 1.25], [-3.1234, 7]]),
        ("a.csv", '"0,5","0,125"\n"1","2"\n', [[0.5, 0.125], [1, 2]]),
        ("a.csv", "1\n2\n4\n", [[1], [2], [4]]),
        ("a.csv", "2001,2002,2101\n0.5,1,2\n3,4.5,5\n", [[0.5, 3], [1, 4.5], [2, 5]]),
        ("a.csv", "2001,2002,2101\n1,2,3\n3,4.5,5\n", [[2001, 2002, 2101], [1, 2, 3], [3, 4.5, 5]]),
        ("a.csv", "7,7,9\n0.5,1,2\n", [[7, 7, 9], [0.5, 1, 2]]),
        ("a.csv", "0,1,2,4\n1,2,3,5\n", [[0, 1, 2, 4], [1, 2, 3, 5]]),
    ],
)
def test_numbers_are_read(name: str, text: str, expected: list[list[float]], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path / name, text), np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2\n3\n", "line 2 has 1 cells, line 1 has 2"),
        ("a.csv", "1,2\n\n3,4\n", "line 2 has 0 cells"),
        ("a.csv", "1,2\n3,4,5\n", "line 2 has 3 cells"),
        ("a.csv", "a,b\n1,2,3\n", "line 2 has 3 cells"),
        ("a.csv", "a,b\n", "holds a header and no numbers"),
        ("a.csv", "\n\n", "holds no numbers"),
        ("a.csv", "V1,0.5\nV2,0.6\n", "line 1, column 1 is 'V1', no number"),
        ("a.csv", "roi,t\nV1,0.5\n", "line 2, column 1 is 'V1', no number"),
        ("a.csv", "1,O.5\n3,4\n", "line 1, column 2 is 'O.5'"),
        ("a.csv", "1,2\n3,1_000\n", "line 2, column 2 is '1_000'"),
        ("a.csv", "1,2\n3,١\n", "line 2, column 2 is '١'"),
        ("a.csv", "1,2\n3,0x10\n", "line 2, column 2 is '0x10'"),
        ("a.csv", "1;2\n3;4\n", "line 2, column 1 is '3;4', no number; cells are separated by commas"),
        ("a.csv", "1,5;2,5\n3,5;4,5\n", "line 1, column 2 is '5;2'"),
        ("a.tsv", "1,250\t2\n", "line 1, column 1 is '1,250'"),
        ("a.csv", "0,1,2\n0.5,0.6,0.7\n", "its first line counts 0, 1, 2"),
        ("a.csv", ",x,y\n0,1.5,2\n2,3,4\n5,5,6\n", "its first column has no name, and others have"),
        ("a.csv", ",x,y\n0,1.5,2\n1,3,4\n2,5,6\n", "its first column counts 0, 1, 2"),
        ("a.csv", ",t0,t1\nV1,1,2\nV2,3,4\n", "line 2, column 1 is 'V1', no number"),
        ("a.txt", "1,2\n3,4\n", "line 1 has a comma; cells are separated by blanks"),
        ("a.txt", "0,5 1,5\n", "line 1 has a comma; cells are separated by blanks"),
        ("a.txt", "# nothing\n", "holds no numbers"),
        ("a.1D", "# 1 2\n1 2\n3\n", "line 3 has 1 cells, line 2 has 2"),
        ("a.1D", "1 2\n3 O.4\n", "line 2, column 2 is 'O.4', no number"),
        ("a.csv", "x,y\n1,0.5\n2,0.6\n3,0.7\n", "its first column counts 1, 2, 3"),
        ("a.csv", ",0,1,2\n0,0.1,0.2,0.3\n1,0.4,0.5,0.6\n", "its first line counts 0, 1, 2"),
        ("a.csv", '1,2\n"3,4\n', "is no table"),
        ("a.csv", "1,2\n3,4\0\n", "line 2, column 2 is"),
    ],
)
def test_what_is_ambiguous_or_no_number_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path / name, text)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_refused(encoding: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="is no UTF-8 text"):
        read(tmp_path / "a.csv", "größe,b\n1,2\n", encoding)
