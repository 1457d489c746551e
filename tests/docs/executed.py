"""Executes docs/notebook.ipynb; as a program (`python tests/docs/executed.py`) it keeps there what the cells gave.

What they say meanwhile - progress, warnings - is left out: it has times, and paths of the machine.
"""

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def execute(folder: Path) -> NotebookNode:
    """The notebook as it is after all cells ran in `folder`. Raises CellExecutionError where one fails."""
    notebook: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def without_asides(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the outputs that are kept: values, what is printed, and pictures."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_kept(output)]
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def _is_kept(output: NotebookNode) -> bool:
    if output.output_type == "stream":
        return bool(output.name == "stdout")
    return output.output_type == "execute_result" or "image/png" in output.get("data", {})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        nbformat.write(without_asides(execute(Path(scratch))), NOTEBOOK)
