"""What the service says of sweeps, and does with them, where several things happen at once."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from contrasweep.services.records.answers import Planned, asked_by
from contrasweep.services.records.folder import BROKEN, FINISHED, STOPPED, OuterFolder, SweepFolder
from contrasweep.services.service.ledger import Entry
from contrasweep.services.service.measures import Measures
from contrasweep.services.service.queue import Observed
from contrasweep.services.service.refusals import Conflict, Forbidden, Missing, Unavailable
from contrasweep.services.service.sweeps import Service
from contrasweep.services.service.tokens import Identity
from contrasweep.services.settings import Settings
from contrasweep.services.spec.extent import More
from contrasweep.services.spec.spec import LoadedSpec, spec_of
from contrasweep.services.verbs.ray_jobs import Job, Refused
from contrasweep.trainers.errors import UserError
from tests.services.service.processes import Processes
from tests.services.service.running import spec

ADA = Identity("ada", "submitter")


class Ending(Processes):
    """A cluster whose jobs are still ending when their drivers are gone, until `ended`."""

    ended = False

    def jobs(self) -> list[Job]:
        """Every job since the beginning."""
        return [
            Job(name, "small", attempt, not self.ended, "RUNNING", "", "ada", 0.0) for name, attempt in self.started
        ]

    def start(self, loaded: LoadedSpec, user: str, attempt: int) -> bool:
        """A driver that writes its state, and no more."""
        folder = SweepFolder.create(Settings(home=self._home), loaded)
        with folder.driving(user, attempt) as state:
            state.state, state.reason = BROKEN, "no disk"
        self.started[loaded.spec.sweep_id, attempt] = (user, None)  # type: ignore[assignment]
        return True


class Finishing(Ending):
    """A cluster whose drivers go as far as they are asked to, in no time; what arrives after `lost` never does."""

    ended, lost = True, False

    def start(self, loaded: LoadedSpec, user: str, attempt: int) -> bool:
        """A driver that writes its state, and no more."""
        self.started[loaded.sweep_id, attempt] = (user, None)  # type: ignore[assignment]
        if not self.lost:
            folder = SweepFolder.create(Settings(home=self._home), loaded)
            with folder.driving(user, attempt) as state:
                folder.keep(loaded)
                state.take(asked_by(loaded.spec))
                state.state = FINISHED
        return True

    def jobs(self) -> list[Job]:
        """None that Ray remembers."""
        return []


class Telling(Processes):
    """A cluster that says `error` where it is asked to plan."""

    error: UserError

    def plan(self, loaded: LoadedSpec) -> Planned:
        """Never."""
        raise self.error


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Settings(home=tmp_path)


def loaded(settings: Settings) -> LoadedSpec:
    return LoadedSpec(spec_of(spec(), "spec"), Path("spec.yaml"), settings.home)


def waiting(number: int) -> Entry:
    return Entry(
        id=f"small-{number:08x}", spec="", base="/", label="age", trials=4, seeds=2, user="ada", submitted=1, queued=1
    )


def test_a_spec_is_the_sweep_that_another_version_called_otherwise(settings: Settings) -> None:
    """In the ledger, where it waits, and in its folder, where it was run by hand."""
    given, cluster = loaded(settings), Processes(settings)
    service = Service(settings, cluster)
    service.loop.tick()
    service._ledger.create(waiting(1).model_copy(update={"spec": given.spec.to_yaml(), **asked_by(given.spec)}))
    again = service.submit(ADA, given)
    assert (again.outcome, again.sweep.id) == ("queued", "small-00000001")
    other = LoadedSpec(given.spec.model_copy(update={"name": "other"}), given.path, given.base, "other-00000002")
    with SweepFolder.create(settings, other).driving("ada") as state:
        state.state = STOPPED
    service.loop.tick()
    assert service.submit(ADA, replace(other, known_as="")).sweep.id == "other-00000002"
    assert [sweep.id for sweep in service.sweeps()] == ["small-00000001", "other-00000002"]


def handed_over(settings: Settings, cluster: Processes) -> tuple[Service, str]:
    """A service that has handed a sweep of ada's to its cluster, and seen what became of it."""
    service = Service(settings, cluster)
    service.loop.tick()
    sweep_id = service.submit(ADA, loaded(settings)).sweep.id
    service.loop.tick()
    service.loop.tick()
    return service, sweep_id


def test_one_that_failed_is_resumed_while_its_job_is_still_ending(settings: Settings) -> None:
    cluster = Ending(settings)
    service, sweep_id = handed_over(settings, cluster)
    assert service.status(sweep_id).state == "failed"
    assert service.resume(ADA, sweep_id).outcome == "resumed"
    service.loop.tick()
    assert list(cluster.started) == [(sweep_id, 1)]
    cluster.ended = True
    service.loop.tick()
    assert list(cluster.started) == [(sweep_id, 1), (sweep_id, 2)]


def finished(settings: Settings) -> tuple[Finishing, Service, str]:
    """A service with a finished sweep of ada's."""
    cluster = Finishing(settings)
    service, sweep_id = handed_over(settings, cluster)
    assert service.status(sweep_id).state == "finished"
    return cluster, service, sweep_id


def test_a_finished_sweep_is_extended_once_however_many_ask(settings: Settings) -> None:
    cluster, service, sweep_id = finished(settings)
    more = More(trials=loaded(settings).spec.search.trials + 5, seeds=(0, 1, 7))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.extend(ADA, sweep_id, more), range(8)))
    assert sorted(answer.outcome for answer in answers) == ["queued"] * 7 + ["resumed"]
    service.loop.tick()
    service.loop.tick()
    extended = service.status(sweep_id)
    assert (extended.state, extended.trials, extended.extent and extended.extent.seeds[-1]) == (
        "finished",
        more.trials,
        7,
    )
    assert list(cluster.started) == [(sweep_id, 1), (sweep_id, 2)]
    assert service.extend(ADA, sweep_id, more).outcome == "done"
    assert service.submit(ADA, loaded(settings)).outcome == "done", "it went as far, and further"


def test_a_space_is_added_once_however_many_ask(settings: Settings) -> None:
    cluster, service, sweep_id = finished(settings)
    given, more = loaded(settings), More(add_spaces=("simclr",))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.extend(ADA, sweep_id, more), range(8)))
    assert sorted(answer.outcome for answer in answers) == ["queued"] * 7 + ["resumed"]
    for _ in range(2):
        service.loop.tick()
    assert (service.status(sweep_id).state, service.status(sweep_id).trials) == ("finished", 8)
    larger = replace(given, spec=given.spec.searching(spaces=("dynlocrep", "simclr"), trials=8))
    for again in (given, larger):
        asked = service.submit(ADA, again)
        assert (asked.outcome, asked.sweep.id) == ("done", sweep_id)
    assert list(cluster.started) == [(sweep_id, 1), (sweep_id, 2)]


def test_the_same_spec_with_larger_numbers_extends(settings: Settings) -> None:
    cluster, service, sweep_id = finished(settings)
    given = loaded(settings)
    search = given.spec.search.model_copy(update={"trials": given.spec.search.trials + 1})
    assert (
        service.submit(ADA, replace(given, spec=given.spec.model_copy(update={"search": search}))).sweep.id == sweep_id
    )
    service.loop.tick()
    assert list(cluster.started) == [(sweep_id, 1), (sweep_id, 2)]


def test_an_extension_that_never_arrives_is_handed_over_again(settings: Settings) -> None:
    """The folder says that the sweep is finished, but not as far as it is asked to go now."""
    cluster, service, sweep_id = finished(settings)
    cluster.lost = True
    service.extend(ADA, sweep_id, More(trials=99))
    service.loop.tick()
    cluster.lost = False
    for _ in range(3):
        service.loop.tick()
    assert (service.status(sweep_id).state, service.status(sweep_id).trials) == ("finished", 99)


def test_who_may_not_extend(settings: Settings) -> None:
    _, service, sweep_id = finished(settings)
    with pytest.raises(Forbidden, match="is not yours"):
        service.extend(Identity("eve", "submitter"), sweep_id, More(trials=99))
    with pytest.raises(UserError, match=r"spec: search.trials: 10001 is not allowed: up to 10000 through the service"):
        service.extend(ADA, sweep_id, More(trials=10_001))
    with pytest.raises(UserError, match="--trials, --seeds, --finalists, --add-space, --hours or --all says to what"):
        service.extend(ADA, sweep_id, More())


def test_one_that_runs_is_not_extended(settings: Settings) -> None:
    service = Service(settings, Ending(settings))
    service.loop.tick()
    sweep_id = service.submit(ADA, loaded(settings)).sweep.id
    service.loop.observed = Observed({}, {sweep_id: Job(sweep_id, "small", 1, True, "RUNNING", "", "ada", 0.0)})
    entry = service._ledger.get(sweep_id)
    assert entry
    service._ledger.update(entry.model_copy(update={"phase": "out", "attempt": 1}))
    with pytest.raises(Conflict, match="is starting; extend it once it has ended, or stop it first"):
        service.extend(ADA, sweep_id, More(trials=99))


@pytest.mark.timeout(60)
def test_hundreds_that_wait_are_listed_in_a_moment(settings: Settings) -> None:
    service = Service(settings, Processes(settings))
    service._ledger._entries = {entry.id: entry for entry in map(waiting, range(500))}
    assert [sweep.position for sweep in service.sweeps()] == list(range(1, 501))


def test_one_that_starts_while_somebody_looks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    service, first, chance = Service(settings, Processes(settings)), waiting(0), random.Random(0)
    either = (first, first.model_copy(update={"phase": "out", "attempt": 1}))
    monkeypatch.setattr(service._ledger, "_loaded", lambda: {first.id: chance.choice(either)})
    assert {service.status(first.id).state for _ in range(100)} == {"queued", "starting"}


def test_what_keeps_the_cluster_from_planning_is_not_for_users(settings: Settings) -> None:
    cluster = Telling(settings)
    service = Service(settings, cluster)
    cluster.error = UserError("http://head:8265: the Ray cluster does not take this token")
    with pytest.raises(Unavailable, match="the cluster cannot plan now; try again later"):
        service.plan(loaded(settings))
    cluster.error = Refused("data.participants: no such file: participants.tsv")
    with pytest.raises(Refused):
        service.plan(loaded(settings))


def test_the_report_of_a_killed_sweep_does_not_say_that_it_runs(settings: Settings) -> None:
    service = Service(settings, Processes(settings))
    folder = SweepFolder.create(settings, loaded(settings))
    with folder.driving("ada") as state:
        page = settings.reports / f"{folder.sweep_id}.html"
        page.parent.mkdir()
        page.write_text("it is running")
        service.loop.observed = type(service.loop.observed)(service.loop._folders.look())
        service._ledger.check()
        assert service.report(folder.sweep_id) == "it is running"
        state.state = STOPPED
    service.loop.observed = type(service.loop.observed)(service.loop._folders.look())
    assert "stopped" in service.report(folder.sweep_id)
    assert "it is running" not in service.report(folder.sweep_id)


def test_outer_folds_are_read_and_never_asked_to_do_anything(settings: Settings) -> None:
    _, service, sweep_id = finished(settings)
    whole = SweepFolder(settings.sweeps / sweep_id)
    search = OuterFolder(whole, 0)
    search.keep(loaded(settings))
    with search.driving("ada") as state:
        state.take({"ended": 3, "trials": 4})
        state.state = STOPPED
    search.log.write_text("a line")
    assert service.status(f"{sweep_id}.0").ended == 3
    assert [one.id for one in service.with_details(service.status(sweep_id)).searches] == [f"{sweep_id}.0"]
    assert service.trials(f"{sweep_id}.0") == []
    assert service.log(f"{sweep_id}.0", None, False).read_text() == "a line"
    assert not service.is_active(f"{sweep_id}.0")
    assert [sweep.id for sweep in service.sweeps()] == [sweep_id]
    with pytest.raises(Missing, match=f"no outer fold '{sweep_id}.7'"):
        service.status(f"{sweep_id}.7")
    for verb in (service.stop, service.resume):
        with pytest.raises(Conflict, match=f"{sweep_id}.0 is an outer fold; ask this of the whole sweep: {sweep_id}"):
            verb(ADA, f"{sweep_id}.0")


def test_a_sweep_that_has_ended_is_delivered_by_the_cluster(settings: Settings) -> None:
    _, service, sweep_id = finished(settings)
    folder = SweepFolder(settings.sweeps / sweep_id)
    with folder.held() as state:
        state.undelivered = True
    service.loop.tick()
    text = Measures(service).text().decode()
    assert service.status(sweep_id).undelivered and "contrasweep_sweeps_undelivered 1.0" in text
    assert service.sync(ADA, sweep_id[:7]).undelivered is False
    with pytest.raises(Forbidden, match="is not yours"):
        service.sync(Identity("bob", "submitter"), sweep_id)


def test_the_log_says_who_did_what(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(settings, Processes(settings))
    service.loop.tick()
    with caplog.at_level("INFO", "contrasweep.service"):
        sweep_id = service.submit(ADA, loaded(settings)).sweep.id
        service.stop(ADA, sweep_id)
        service.resume(Identity("root", "admin"), sweep_id)
    assert [record.getMessage() for record in caplog.records] == [
        f"sweep {sweep_id}: {done}" for done in ("submitted by ada", "stopped by ada", "resumed by root")
    ]
