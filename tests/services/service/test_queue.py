"""What the queue decides, and that no course of events loses a sweep or runs one twice."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrasweep.services.records.answers import Sweep
from contrasweep.services.service.ledger import Entry
from contrasweep.services.service.queue import (
    MAX_LOST,
    MAX_RESTARTS,
    WINDOW_S,
    Keep,
    Kill,
    Observed,
    Quotas,
    RequestStop,
    Settle,
    Start,
    decide,
    gpu_hours,
    line,
    reasons,
)
from contrasweep.services.verbs.ray_jobs import Job

NOW = 2_000_000_000.0
DAY_S = 86_400.0
ONE_AT_A_TIME = Quotas()


def entry(name: str = "a-00000000", **fields: Any) -> Entry:
    given = {"user": "ada", "submitted": 1.0, "queued": 1.0} | fields
    return Entry(id=name, spec="", base="/", label="age", trials=4, seeds=2, **given)


def folder(name: str = "a-00000000", **fields: Any) -> Sweep:
    return Sweep.model_validate({"id": name, "name": "a", "state": "running", "attempt": 1} | fields)


def job(name: str = "a-00000000", attempt: int = 1, live: bool = True, message: str = "") -> Job:
    return Job(name, "a", attempt, live, "RUNNING" if live else "FAILED", message, "ada", 0.0)


def observed(*seen: Sweep | Job) -> Observed:
    return Observed(
        {one.id: one for one in seen if isinstance(one, Sweep)},
        {one.sweep_id: one for one in seen if isinstance(one, Job)},
    )


def kept(entries: list[Entry], seen: Observed, quotas: Quotas = ONE_AT_A_TIME, now: float = NOW) -> Entry:
    """The one entry that is kept."""
    (action,) = [action for action in decide(entries, seen, quotas, now) if isinstance(action, Keep)]
    return action.entry


def started(entries: list[Entry], seen: Observed, quotas: Quotas) -> list[str]:
    return [action.entry.id for action in decide(entries, seen, quotas, NOW) if isinstance(action, Start)]


def test_the_first_in_line_starts_and_the_rest_wait() -> None:
    entries = [entry("b-00000000", queued=2.0), entry("a-00000000", queued=1.0), entry("c-00000000", queued=3.0)]
    assert started(entries, Observed(), Quotas(running=2)) == ["a-00000000", "b-00000000"]
    assert [one.id for one in line(entries)] == ["a-00000000", "b-00000000", "c-00000000"]
    assert reasons(entries, Observed(), Quotas(running=2), NOW) == {
        "c-00000000": "waits for a place: 2 of at most 2 sweeps run"
    }


def test_sweeps_that_run_without_the_service_take_places() -> None:
    assert started([entry()], observed(job("by-hand-00000000")), Quotas(running=1)) == []
    assert started([entry()], observed(folder("by-hand-00000000")), Quotas(running=1)) == []
    assert started([entry()], observed(folder("by-hand-00000000", state="finished")), Quotas(running=1)) != []


def test_who_has_enough_running_waits_and_others_pass() -> None:
    entries = [
        entry("a-00000000", phase="out", attempt=1),
        entry("b-00000000", queued=2.0),
        entry("c-00000000", queued=3.0, user="bob"),
    ]
    quotas, seen = Quotas(running=3, user_running=1), observed(job())
    assert started(entries, seen, quotas) == ["c-00000000"]
    assert reasons(entries, seen, quotas, NOW)["b-00000000"] == "waits: ada runs 1 of at most 1 sweeps"


def test_who_has_used_the_hours_waits() -> None:
    entries = [entry(used=((NOW - 2 * DAY_S, 3.0), (NOW - WINDOW_S - 1, 90.0)))]
    assert gpu_hours("ada", entries, Observed(), NOW) == 3.0
    assert started(entries, Observed(), Quotas(user_gpu_hours=3.5)) == ["a-00000000"]
    assert started(entries, Observed(), Quotas(user_gpu_hours=3.0)) == []
    why = reasons(entries, Observed(), Quotas(user_gpu_hours=3.0), NOW)
    assert why == {"a-00000000": "waits: ada has used 3.0 of 3 GPU-hours in the last 30 days"}


def test_a_running_sweep_over_quota_is_asked_to_stop_and_goes_back() -> None:
    running = entry(phase="out", attempt=1, used=((NOW - DAY_S, 1.0),))
    seen, quotas = observed(job(), folder(gpu_hours=5.0)), Quotas(user_gpu_hours=4.0)
    actions = decide([running], seen, quotas, NOW)
    paused = running.model_copy(update={"paused": True})
    assert actions == [Keep(paused), RequestStop("a-00000000", 1)]
    stopped = observed(job(live=False), folder(state="stopped", gpu_hours=5.5))
    back = kept([paused], stopped, quotas)
    assert (back.phase, back.wish, back.paused) == ("waiting", "run", False)
    assert back.used == ((NOW - DAY_S, 1.0), (NOW, 4.5))
    assert decide([back], stopped, quotas, NOW) == []
    assert started([back], stopped, Quotas(user_gpu_hours=6.0)) == ["a-00000000"]


def test_a_start_is_one_more_attempt_than_anything_seen() -> None:
    seen = observed(job(attempt=4, live=False), folder(attempt=2, state="stopped"))
    (start,) = [action for action in decide([entry(attempt=4)], seen, Quotas(), NOW) if isinstance(action, Start)]
    assert (start.entry.attempt, start.entry.phase) == (5, "out")


def test_nothing_starts_while_the_last_driver_is_ending() -> None:
    resumed = entry(attempt=1)
    seen = observed(job(), folder(state="stopped"))
    assert decide([resumed], seen, Quotas(), NOW) == []
    assert reasons([resumed], seen, Quotas(), NOW) == {"a-00000000": "waits for its last driver to end"}


def test_the_wish_to_stop_is_repeated_until_the_driver_has_ended() -> None:
    stopping = entry(phase="out", attempt=1, wish="stop")
    for seen in (observed(job()), observed(job(), folder()), observed(job(live=False), folder())):
        assert decide([stopping], seen, Quotas(), NOW) == [RequestStop("a-00000000", 1)]
    over = kept([stopping], observed(job(live=False), folder(state="stopped")))
    assert (over.phase, over.end) == ("over", "stopped")


def test_a_driver_without_a_job_can_only_be_asked() -> None:
    stopping = entry(phase="out", wish="stop", now=True, attempt=1)
    assert decide([stopping], observed(folder()), ONE_AT_A_TIME, NOW) == [RequestStop(stopping.id, 1)]
    assert decide([stopping], observed(folder(), job()), ONE_AT_A_TIME, NOW) == [Kill(stopping.id, 1)]


def test_who_holds_the_folder_is_asked_where_a_later_driver_could_not_have_it() -> None:
    stopping = entry(phase="out", wish="stop", attempt=2)
    held = observed(folder(attempt=1), job(attempt=2, live=False))
    assert decide([stopping], held, ONE_AT_A_TIME, NOW) == [RequestStop(stopping.id, 1)]


def test_a_start_that_only_seemed_to_go_wrong_leaves_no_reason() -> None:
    assert kept([entry(phase="out", attempt=1, reason="no answer")], observed(job())).reason == ""


def test_a_killed_sweep_is_stopped_and_its_folder_says_so() -> None:
    killed = entry(phase="out", attempt=1, wish="stop", now=True)
    assert decide([killed], observed(job(), folder()), Quotas(), NOW) == [Kill("a-00000000", 1)]
    actions = decide([killed], observed(job(live=False), folder(state="interrupted")), Quotas(), NOW)
    assert [type(action) for action in actions] == [Keep, Settle]
    assert actions[1] == Settle("a-00000000", "stopped", "")


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_an_attempt_ends_as_its_folder_says(state: str) -> None:
    over = kept([entry(phase="out", attempt=1)], observed(job(live=False), folder(state=state, reason="so")))
    assert (over.phase, over.end) == ("over", state)
    assert over.reason == ("" if state == "finished" else "so")


def test_an_old_failure_is_not_this_attempts() -> None:
    out = entry(phase="out", attempt=2)
    failed_before = folder(state="failed", attempt=1)
    assert decide([out], observed(job(attempt=2), failed_before), Quotas(), NOW) == []
    died = kept([out], observed(job(attempt=2, live=False), failed_before))
    assert (died.phase, died.restarts) == ("waiting", 1)


def test_an_attempt_that_never_arrived_is_no_restart() -> None:
    back = kept([entry(phase="out", attempt=2)], observed(job(attempt=1, live=False)))
    assert (back.phase, back.restarts, back.lost) == ("waiting", 0, 1)


def test_attempts_that_cannot_arrive_come_to_an_end_with_a_reason() -> None:
    """As of a sweep that another version of the driver would call otherwise."""
    now, phases = entry(), list[str]()
    while now.phase != "over" and len(phases) < 20:
        started = next(action.entry for action in decide([now], observed(), Quotas(), NOW) if isinstance(action, Start))
        now = kept([started], observed())
        phases.append(now.phase)
    assert phases == ["waiting"] * MAX_LOST + ["over"]
    assert (now.end, now.reason) == ("failed", "the cluster took it 4 times in a row, and it never arrived there")


def test_an_attempt_that_arrives_makes_the_count_of_lost_ones_begin_again() -> None:
    assert kept([entry(phase="out", attempt=1, lost=2)], observed(job())).lost == 0


def test_a_start_that_the_cluster_refused_is_not_lost() -> None:
    back = kept([entry(phase="out", attempt=2, refused=True, lost=1, reason="no answer")], observed())
    assert (back.phase, back.lost, back.reason) == ("waiting", 1, "no answer")


def test_a_sweep_whose_driver_dies_is_restarted_three_times_in_a_row() -> None:
    now, states = entry(phase="out", attempt=1), []
    for attempt in range(1, 10):
        seen = observed(
            job(attempt=attempt, live=False, message="worker died"), folder(state="interrupted", attempt=attempt)
        )
        now = kept([now.model_copy(update={"phase": "out", "attempt": attempt})], seen)
        states.append(now.phase)
        if now.phase == "over":
            break
    assert states == ["waiting"] * MAX_RESTARTS + ["over"]
    assert now.end == "failed"
    assert now.reason == "its driver died 4 times in a row without progress: worker died"


def test_progress_makes_the_count_of_restarts_begin_again() -> None:
    out = entry(phase="out", attempt=4, restarts=3, progress=5)
    seen = observed(job(attempt=4, live=False), folder(state="interrupted", attempt=4, ended=2, seed_runs=5))
    back = kept([out], seen)
    assert (back.phase, back.restarts, back.progress) == ("waiting", 1, 7)


def test_a_sweep_that_somebody_runs_by_hand_is_followed() -> None:
    over = entry(phase="over", end="stopped", wish="stop", attempt=1)
    out = kept([over], observed(job(attempt=2)))
    assert (out.phase, out.attempt, out.wish) == ("out", 2, "run")
    done = kept([over], observed(folder(attempt=2, state="finished")))
    assert (done.phase, done.end) == ("over", "finished")


@pytest.mark.timeout(60)
def test_a_thousand_that_rest_are_decided_in_a_moment() -> None:
    names = [f"a-{number:08x}" for number in range(1000)]
    entries = [entry(name, phase="over", end="finished", attempt=1, used=((NOW, 1.0),)) for name in names]
    seen = observed(*(folder(name, state="finished") for name in names))
    assert decide(entries, seen, Quotas(user_gpu_hours=10.0), NOW) == []


class _World:
    """A cluster and its folders in miniature: drivers begin, hear, end and die when the course of events says so."""

    def __init__(self) -> None:
        self.entries = {f"{letter}-00000000": entry(f"{letter}-00000000", queued=ord(letter)) for letter in "abc"}
        self.folders: dict[str, Sweep] = {}
        self.jobs: dict[tuple[str, int], Job] = {}
        self.words: set[tuple[str, int]] = set()
        self.now = NOW

    def observed(self) -> Observed:
        latest = {name: one for (name, _), one in sorted(self.jobs.items(), key=lambda item: item[0][1])}
        return Observed(dict(self.folders), latest)

    def look(self, quotas: Quotas, killed_after: int | None = None) -> None:
        """One look of the service, which may be killed after some of its actions."""
        self.now += 1
        for action in decide(list(self.entries.values()), self.observed(), quotas, self.now)[:killed_after]:
            match action:
                case Keep(new):
                    self.entries[new.id] = new
                case Start(new):
                    self.entries[new.id] = new
                    if killed_after is None:
                        assert (new.id, new.attempt) not in self.jobs
                        self.jobs[new.id, new.attempt] = job(new.id, new.attempt)
                case RequestStop(name, attempt):
                    self.words.add((name, attempt))
                case Kill(name, attempt):
                    self.end(name, attempt, "interrupted")
                case Settle(name, state, reason):
                    self.folders[name] = self.folders[name].model_copy(update={"state": state, "reason": reason})

    def live(self) -> list[tuple[str, int]]:
        return [key for key, one in self.jobs.items() if one.live]

    def begin(self, name: str, attempt: int) -> None:
        self.folders[name] = folder(name, attempt=attempt)

    def end(self, name: str, attempt: int, state: str) -> None:
        self.jobs[name, attempt] = replace(self.jobs[name, attempt], live=False)
        if name in self.folders and self.folders[name].attempt == attempt:
            self.folders[name] = self.folders[name].model_copy(update={"state": state})


@given(st.data())
def test_no_course_of_events_runs_a_sweep_twice_or_loses_one(data: st.DataObject) -> None:
    world, quotas = _World(), Quotas(running=2)
    for _ in range(data.draw(st.integers(0, 25))):
        match data.draw(st.sampled_from(["look", "crash", "begin", "end", "stop", "kill"])):
            case "look":
                world.look(quotas)
            case "crash":
                world.look(quotas, killed_after=data.draw(st.integers(0, 3)))
            case "begin" | "end" as event if world.live():
                name, attempt = data.draw(st.sampled_from(world.live()))
                if event == "begin":
                    world.begin(name, attempt)
                else:
                    state = "stopped" if (name, attempt) in world.words else "finished"
                    world.end(name, attempt, data.draw(st.sampled_from([state, "interrupted"])))
            case "stop" | "kill" as event:
                name = data.draw(st.sampled_from(sorted(world.entries)))
                one = world.entries[name]
                change: dict[str, Any] = {"wish": "stop", "now": event == "kill"}
                if one.phase == "waiting":
                    change |= {"phase": "over", "end": "stopped"}
                if one.phase != "over":
                    world.entries[name] = one.model_copy(update=change)
        names = [name for name, _ in world.live()]
        assert len(names) == len(set(names)) <= 2
    for _ in range(60):  # left in peace, every sweep comes to rest
        world.look(quotas)
        for name, attempt in world.live():
            world.begin(name, attempt)
            world.end(name, attempt, "stopped" if (name, attempt) in world.words else "finished")
    assert {one.phase for one in world.entries.values()} == {"over"}
