"""A sweep's folder: found again, driven by one at a time, honest about a driver that died."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from contrasweep.services import locks
from contrasweep.services.records.folder import (
    BROKEN,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    STOPPED,
    OuterFolder,
    SweepFolder,
    SweepState,
    recognised,
)
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import BudgetConfig, LoadedSpec
from contrasweep.services.verbs.local import describe
from contrasweep.trainers.errors import UserError
from tests.damage import cut, empty, flip, remove
from tests.services.past import spec
from tests.services.sweep_page.left import final_report


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def create(settings: Settings, name: str = "study") -> SweepFolder:
    study = spec().model_copy(update={"name": name})
    return SweepFolder.create(settings, LoadedSpec(study, Path("study.yaml"), settings.home.parent))


DRIVE = """
import sys, time
from pathlib import Path
from contrasweep.services.records.folder import SweepFolder
with SweepFolder(Path(sys.argv[1])).driving():
    print("driving", flush=True)
    time.sleep(60)
"""


def driver(folder: SweepFolder) -> "subprocess.Popen[str]":
    """Another process that drives the sweep."""
    command = [sys.executable, "-c", DRIVE, str(folder.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "driving\n"
    return process


def test_the_spec_comes_back_with_its_base(settings: Settings) -> None:
    folder = create(settings)
    loaded = folder.load()
    assert loaded.spec == spec()
    assert loaded.base == settings.home.parent
    assert folder.sweep_id == loaded.spec.sweep_id
    assert create(settings).path == folder.path


def test_a_sweep_that_got_a_space_is_known_by_its_spec_before_and_after(settings: Settings) -> None:
    folder = create(settings)
    before, larger = spec(trials=30), spec(spaces=["dynlocrep", "simclr"], trials=30)
    folder.keep(replace(folder.load(), spec=larger.searching(trials=60)))
    for given in (before, larger):
        found = recognised(LoadedSpec(given, Path("study.yaml"), settings.home), settings)
        assert (found.sweep_id, found.spec.search.spaces) == (folder.sweep_id, ("dynlocrep", "simclr"))
        assert found.spec.search.trials == 60
    other = recognised(LoadedSpec(spec(spaces=["simclr"]), Path("study.yaml"), settings.home), settings)
    assert other.sweep_id != folder.sweep_id


def test_found_by_the_beginning_of_its_id(settings: Settings) -> None:
    alpha, beta = create(settings, "alpha"), create(settings, "alps")
    assert SweepFolder.find(settings, "alph").path == alpha.path
    assert SweepFolder.find(settings, beta.sweep_id).path == beta.path
    with pytest.raises(UserError, match=f"'alp' could be any of {alpha.sweep_id}, {beta.sweep_id}"):
        SweepFolder.find(settings, "alp")


def test_an_id_that_another_begins_with(settings: Settings) -> None:
    whole = create(settings, "alpha")
    longer = create(settings, f"{whole.sweep_id}-x")
    assert longer.sweep_id.startswith(whole.sweep_id)
    assert SweepFolder.find(settings, whole.sweep_id).path == whole.path


def test_an_unknown_id(settings: Settings) -> None:
    with pytest.raises(UserError, match="there is none yet; `contrasweep run SPEC` starts one"):
        SweepFolder.find(settings, "alpha")
    folder = create(settings, "alpha")
    with pytest.raises(UserError, match=f"no sweep 'alhpa.*; did you mean '{folder.sweep_id}'"):
        SweepFolder.find(settings, folder.sweep_id.replace("alpha", "alhpa"))


def test_every_sweep_by_id(settings: Settings) -> None:
    ids = [create(settings, name).sweep_id for name in ("beta", "alpha")]
    assert [folder.sweep_id for folder in SweepFolder.every(settings)] == ids[::-1]


def in_outer_folds(settings: Settings, count: int = 2) -> SweepFolder:
    """A sweep with the searches of so many outer folds."""
    whole = create(settings)
    for number in range(count):
        OuterFolder(whole, number).keep(whole.load())
    return whole


def test_the_search_in_an_outer_fold_is_found_and_not_listed(settings: Settings) -> None:
    whole = in_outer_folds(settings, 11)
    assert [one.number for one in whole.searches] == list(range(11)), "in the order of numbers"
    assert [one.path for one in SweepFolder.every(settings)] == [whole.path]
    second = SweepFolder.find(settings, "study.1")
    assert (second.sweep_id, second.load().sweep_id) == (f"{whole.sweep_id}.1", f"{whole.sweep_id}.1")
    assert second.searches == []
    with pytest.raises(UserError, match=f"no outer fold '{whole.sweep_id}.11'; .*allowed: .*{whole.sweep_id}.0"):
        SweepFolder.find(settings, f"{whole.sweep_id}.11")
    with pytest.raises(UserError, match=f"no outer fold '{create(settings, 'plain').sweep_id}.0'; none has begun"):
        SweepFolder.find(settings, "plain.0")
    with pytest.raises(UserError, match=f"outer fold; ask this of the whole sweep: {whole.sweep_id}$"):
        SweepFolder.find_whole(settings, f"{whole.sweep_id}.0")


def test_an_outer_fold_is_stopped_with_its_sweep_and_tells_of_its_states(settings: Settings) -> None:
    whole, heard = in_outer_folds(settings), []
    search = OuterFolder(whole, 1, lambda number, state: heard.append((number, state.state)))
    whole.ask_to_stop(3)
    with search.driving(attempt=3) as state:
        assert search.is_asked_to_stop(3) and not search.is_asked_to_stop(2)
        state.state = STOPPED
    assert heard == [(1, RUNNING), (1, STOPPED)]
    assert whole.is_asked_to_stop(3), "the wish is the sweep's, and stays until that has ended"


def test_one_that_was_only_half_created_is_no_sweep(settings: Settings) -> None:
    folder = create(settings)
    (folder.path / "spec.yaml").unlink()
    assert SweepFolder.every(settings) == []


def test_state_while_and_after_driving(settings: Settings) -> None:
    folder = create(settings)
    assert folder.read_state().state == STOPPED
    with folder.driving() as state:
        during = folder.read_state()
        assert (during.state, during.pid) == (RUNNING, os.getpid())
        state.state = FINISHED
    assert folder.read_state().state == FINISHED


def test_time_spent_adds_up_and_the_start_stays(settings: Settings) -> None:
    folder = create(settings)
    with folder.driving() as state:
        state.spent_s += 5
    first = folder.read_state()
    with folder.driving() as state:
        assert state.spent_s == 5
        state.spent_s += 2
    second = folder.read_state()
    assert (first.spent_s, second.spent_s) == (5, 7)
    assert first.started == second.started > 0


def test_gpu_hours_are_of_what_each_driver_held(settings: Settings) -> None:
    folder = create(settings)
    for gpus, until_s in ((1.0, 3600.0), (4.0, 5400.0), (0.0, 9000.0)):
        with folder.driving() as state:
            state.gpus = gpus
            state.spend(until_s)
    assert (state.spent_s, describe(folder).gpu_hours) == (9000, 3.0)


def test_a_crash_is_kept_with_its_reason_until_the_next_try(settings: Settings) -> None:
    folder = create(settings)
    with pytest.raises(OSError, match="disk"), folder.driving():
        raise OSError("disk full")
    state = folder.read_state()
    assert (state.state, state.reason) == (BROKEN, "OSError: disk full")
    with folder.driving() as state:
        assert folder.read_state().reason == ""
        state.state = FINISHED


def test_a_second_interrupt_stops(settings: Settings) -> None:
    folder = create(settings)
    with pytest.raises(KeyboardInterrupt), folder.driving():
        raise KeyboardInterrupt
    assert folder.read_state().state == STOPPED


def test_only_one_driver_at_a_time(settings: Settings) -> None:
    folder = create(settings)
    with folder.driving():
        again = SweepFolder(folder.path)
        message = f"sweep {folder.sweep_id} is already running, in process {os.getpid()}"
        with pytest.raises(UserError, match=message), again.driving():
            raise AssertionError
        assert folder.read_state().state == RUNNING
    with folder.driving():
        pass


def test_a_driver_that_was_killed(settings: Settings) -> None:
    folder = create(settings)
    process = driver(folder)
    try:
        assert folder.read_state().state == RUNNING
        with pytest.raises(UserError, match=f"already running, in process {process.pid}"), folder.driving():
            raise AssertionError
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert folder.read_state().state == INTERRUPTED
        with folder.driving():
            assert folder.read_state().state == RUNNING
    finally:
        process.kill()


def test_where_storage_has_it_wait_it_is_stopped_with_the_reason(settings: Settings) -> None:
    folder = create(settings)
    with folder.driving():
        raise OSError(errno.ENOSPC, "No space left on device")
    state = folder.read_state()
    told = f"{folder.path}: No space left on device; make room there, and `contrasweep resume` goes on"
    assert (state.state, state.reason) == (STOPPED, told)
    assert not list(folder.path.glob(".*")), "nothing is left of what was kept free"


def test_who_was_replaced_stops_and_writes_nothing_any_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "has_flock", lambda folder: False)
    monkeypatch.setattr(locks, "BEAT_S", 0.05)
    folder = create(settings)
    with ExitStack() as successor:
        with pytest.raises(UserError, match=f"was taken over .*: process {os.getpid()} on "), folder.driving() as state:
            (folder.path / "lock.lease").unlink()
            second = successor.enter_context(SweepFolder(folder.path).driving())
            deadline = time.monotonic() + 20
            while not folder.is_asked_to_stop(state.attempt) and time.monotonic() < deadline:
                time.sleep(0.02)
            folder.write_state(state)
        assert (folder.read_state().attempt, second.attempt) == (2, 2)


def test_a_mistake_of_the_user_is_kept_in_its_own_words(settings: Settings) -> None:
    folder = create(settings)
    with pytest.raises(UserError), folder.driving():
        raise UserError("data.label: two\n  lines")
    assert folder.read_state().reason == "data.label: two lines"


def test_drivers_are_counted_and_users_remembered(settings: Settings) -> None:
    folder = create(settings)
    with folder.driving():
        during = folder.read_state()
    assert (during.user, during.attempt, during.host) == ("", 1, socket.gethostname())
    with folder.driving("ada", 7):
        assert folder.read_state().user == "ada"
    with folder.driving() as state:
        assert (state.user, state.attempt) == ("ada", 8)


def test_word_to_stop_is_for_one_driver(settings: Settings) -> None:
    folder = create(settings)
    folder.ask_to_stop(1)
    with folder.driving() as state:
        assert folder.is_asked_to_stop(state.attempt), "it came before the driver did"
    with folder.driving() as state:
        assert not folder.is_asked_to_stop(state.attempt), "it is not for the next one"
        SweepFolder(folder.path).ask_to_stop(state.attempt)
        assert folder.is_asked_to_stop(state.attempt)


def test_word_to_a_driver_that_was_killed_is_not_for_the_next(settings: Settings) -> None:
    folder = create(settings)
    process = driver(folder)
    folder.ask_to_stop(folder.read_state().attempt)
    process.kill()
    process.wait()
    with folder.driving() as state:
        assert not folder.is_asked_to_stop(state.attempt)


def test_word_to_stop_before_the_folder_is_made(settings: Settings) -> None:
    loaded = LoadedSpec(spec(), Path("study.yaml"), settings.home.parent)
    SweepFolder(settings.sweeps / loaded.spec.sweep_id).ask_to_stop(3)
    assert SweepFolder.every(settings) == []
    with SweepFolder.create(settings, loaded).driving(attempt=3):
        assert SweepFolder.find(settings, "study").is_asked_to_stop(3)


def test_one_that_was_killed_is_settled(settings: Settings) -> None:
    folder = create(settings)
    with folder.driving() as state:
        state.spent_s = 5
    state.state = RUNNING
    folder.write_state(state)
    folder.settle(STOPPED, "killed")
    settled = folder.read_state()
    assert (settled.state, settled.reason, settled.spent_s) == (STOPPED, "killed", 5)


def test_states_of_other_versions_are_read(settings: Settings) -> None:
    folder = create(settings)
    (folder.path / "state.json").write_text('{"state": "finished", "spent_s": 5.0, "mood": "good"}')
    state = folder.read_state()
    assert (state.state, state.spent_s, state.trials, state.best) == (FINISHED, 5, 0, None)


@pytest.mark.parametrize("damage", [cut, flip, empty, remove])
def test_a_damaged_state_is_the_one_before(settings: Settings, damage: Callable[[Path], None]) -> None:
    folder = create(settings)
    for spent_s in (5, 6):
        state = folder.read_state()
        state.spent_s = spent_s
        folder.write_state(state)
    damage(folder.path / "state.json")
    assert folder.read_state().spent_s == 5
    damage(folder.path / "state-before.json")
    assert (folder.read_state().state, folder.read_state().spent_s) == (STOPPED, 0), "what is known without it"


@pytest.mark.parametrize("damage", [cut, empty, remove])
@pytest.mark.parametrize("name", ["origin.json", "spec.yaml"])
def test_a_damaged_spec_is_named_and_the_studys_own_is_taken(
    settings: Settings, damage: Callable[[Path], None], name: str
) -> None:
    folder, given = create(settings), LoadedSpec(spec(), Path("study.yaml"), settings.home.parent)
    damage(folder.path / name)
    assert folder.kept() is None and folder.hashes_to() == "" and not folder.has_done(given)
    with pytest.raises((UserError, FileNotFoundError), match=name):
        folder.load()
    assert recognised(given, settings).spec == given.spec
    folder.keep(given)
    assert folder.load().spec == given.spec


def test_a_sweep_that_its_budget_ended_is_over_until_it_has_more(settings: Settings) -> None:
    def given(hours: float | None) -> LoadedSpec:
        study = spec().model_copy(update={"budget": BudgetConfig(hours=hours)})
        return LoadedSpec(study, Path("study.yaml"), settings.home.parent)

    folder = SweepFolder.create(settings, given(1.0))
    for state, unfinished, final, over in (
        (STOPPED, 3, None, True),
        (STOPPED, 0, None, False),
        (FINISHED, 2, "report", True),
        (FINISHED, 0, "report", True),
        (FINISHED, 0, "damaged", False),
    ):
        folder.final.unlink(missing_ok=True)
        if final == "report":
            final_report([20, 40, 60], 0).write(folder.final)
        elif final:
            folder.final.write_text("{")
        folder.write_state(SweepState(id=folder.sweep_id, state=state, unfinished=unfinished))
        assert folder.has_done(given(1.0)) == folder.has_done(given(0.5)) == over
        assert folder.has_done(given(2.0)) == folder.has_done(given(None)) == (over and not unfinished)
