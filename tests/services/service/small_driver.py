"""A driver in miniature, run as a process: it holds the sweep's folder, logs, makes progress, and hears a stop.

Usage: small_driver.py HOME SPEC BASE USER ATTEMPT SECONDS
"""

import sys
import time
from pathlib import Path

from contrasweep.services.records.folder import FINISHED, STOPPED, SweepFolder
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec, parse_spec


def main() -> None:
    """Run for SECONDS, unless somebody leaves word."""
    home, spec, base, user, attempt, seconds = sys.argv[1:]
    settings = Settings(home=Path(home))
    folder = SweepFolder.create(settings, LoadedSpec(parse_spec(spec, "spec"), Path("spec.yaml"), Path(base)))
    ends = time.monotonic() + float(seconds)
    with folder.driving(user, int(attempt)) as state, folder.log.open("a") as log:
        state.gpus = 1.0
        while time.monotonic() < ends:
            state.spend(state.spent_s + 0.1)
            state.ended += 1
            folder.write_state(state)
            print(f"step {state.ended} under {folder.path}", file=log, flush=True)
            if folder.is_asked_to_stop(int(attempt)):
                state.state = STOPPED
                return
            time.sleep(0.1)
        state.state = FINISHED


if __name__ == "__main__":
    main()
