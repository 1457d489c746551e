from pathlib import Path

import nbformat
import pytest

from tests.docs.executed import NOTEBOOK, execute, without_asides

MOST_BYTES = 150_000


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_the_notebook_tells_what_happens(tmp_path: Path) -> None:
    notebook = execute(tmp_path)
    cells = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    given = {source: output for source, (*_, output) in ((s, o) for s, o in cells.items() if o)}
    printed = given["print(sweep)"].text
    assert printed.startswith("rank  trial  method") and "final     test MAE" in printed and "\x1b" not in printed
    assert "too good: it chose the best of 4 configurations" in printed
    (extended,) = [output for source, output in given.items() if "extend" in source]
    assert extended.data["text/plain"] == "(6, 2)"
    assert "is no gzip file" in given['predicted.attrs["rejected"]'].data["text/plain"]
    assert sum("image/png" in output.get("data", {}) for output in given.values()) == 3


def test_what_is_kept_of_it_is_small_and_of_no_machine() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    outputs = [str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs and NOTEBOOK.stat().st_size < MOST_BYTES
    assert not [output for output in outputs for sign in ("/tmp/", "/home/", "/root/", "\\x1b") if sign in output]
    assert nbformat.writes(without_asides(notebook)) + "\n" == NOTEBOOK.read_text()
