"""What can be asked of sweeps, wherever they run."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from contrasweep.services.records.answers import Comparison, Planned, Submitted, Sweep, Trial
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError


class Away(UserError):
    """Nobody answers now; later somebody may."""


class Verbs(Protocol):
    """The sweeps of this machine (`local`), of a cluster (`ray_jobs`) or of a service (`http`).

    An id may be the beginning of one. Every method raises UserError, in one line, for what the caller did wrong.
    """

    def submit(self, loaded: LoadedSpec) -> Submitted:
        """Have a sweep run, or go on; one spec runs once however often it is submitted."""
        ...

    def plan(self, loaded: LoadedSpec) -> Planned:
        """What the sweep would take, with nothing begun."""
        ...

    def sweeps(self) -> list[Sweep]:
        """All sweeps, the oldest first."""
        ...

    def status(self, sweep_id: str) -> Sweep:
        """How a sweep stands."""
        ...

    def trials(self, sweep_id: str) -> list[Trial]:
        """A sweep's configurations, as the leaderboard has them: the best first."""
        ...

    def compare(self, sweep_ids: Sequence[str]) -> Comparison:
        """Several sweeps side by side, each against the first."""
        ...

    def logs(self, sweep_id: str, trial: int | None = None, follow: bool = False) -> Iterator[str]:
        """Lines of the driver's log, or of one configuration's; `follow` goes on until the sweep ends."""
        ...

    def stop(self, sweep_id: str, now: bool = False) -> Sweep:
        """Stop after the epochs under way, or, with `now`, at once; a waiting sweep leaves the queue."""
        ...

    def resume(self, sweep_id: str) -> Submitted:
        """Go on with a sweep that was stopped, failed or was interrupted."""
        ...

    def extend(self, sweep_id: str, more: More) -> Submitted:
        """Go on with a sweep, a finished one, too, to more trials, seeds, finalists or spaces."""
        ...

    def sync(self, sweep_id: str) -> Sweep:
        """Tell MLflow all of a sweep that does not run, from what is on disk; how it stands."""
        ...

    def report(self, sweep_id: str) -> str:
        """The sweep's HTML report, complete in itself."""
        ...
