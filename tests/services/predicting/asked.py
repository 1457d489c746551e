"""The command line as a user has it."""

import pytest

from contrasweep.services import cli


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Exit status and what is printed."""
    monkeypatch.setattr("sys.argv", ["contrasweep", *map(str, arguments)])
    try:
        cli.main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    return status, told.out, told.err
