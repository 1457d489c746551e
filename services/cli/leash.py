"""`python -m contrasweep.services.cli.leash COMMAND ...`: run a command that ends with its input, and all it starts.

The input is a pipe from the program that wants that: it closes however that program ends, killed or not.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

PATIENCE_S = 5.0
"""What the command has to end by itself before it is killed."""


def main() -> None:
    """Run the command in a session of its own; exit with its status once nothing of it runs any more."""
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_input, args=(command.pid,), daemon=True).start()
    status = command.wait()
    _signal_all(command.pid, signal.SIGKILL)
    sys.exit(status)


def _end_with_input(session: int) -> None:
    os.read(0, 1)
    _signal_all(session, signal.SIGTERM)
    time.sleep(PATIENCE_S)
    _signal_all(session, signal.SIGKILL)


def _signal_all(session: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(session, number)


if __name__ == "__main__":
    main()
