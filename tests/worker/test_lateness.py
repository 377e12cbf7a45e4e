"""Which stream is late, and when, by the worker's own numbers; no torch is needed for it."""

from collections.abc import Iterable

import pytest

from patchkit.gates import scenario
from patchkit.worker import lateness
from patchkit.worker.lateness import LEAST, LONGEST, SPAN, HostPace, Lateness

MAIN, SIDE, COPY = 11, 22, 33  # handles
LONG = 0.02


def step(late: Lateness, sides: Iterable[tuple[int, bool]] = ((SIDE, True), (COPY, False))) -> dict[int, float]:
    """A step of the engine, in which side streams are entered and left; the delays of each stream, added up."""
    late.begin_step()
    seconds = {MAIN: late.next_delay(MAIN, False)}
    for side, by_runtime in sides:
        seconds[side] = late.next_delay(side, by_runtime)
        seconds[MAIN] += late.next_delay(MAIN, by_runtime)
    return seconds


def test_each_stream_is_at_times_the_only_one_that_is_late() -> None:
    late = Lateness(2, LONG)
    alone = {MAIN: 0, SIDE: 0, COPY: 0}
    for _ in range(300):
        delayed = [stream for stream, seconds in step(late).items() if seconds]
        if len(delayed) == 1:
            alone[delayed[0]] += 1
    assert all(count > 30 for count in alone.values()), alone


def test_delays_last_from_nothing_to_the_longest_and_are_counted() -> None:
    late = Lateness(3, LONG)
    seen = [late.next_delay(MAIN, False) for _ in range(1000)]
    assert min(seen) < 0.1 * LONG and 0.9 * LONG < max(seen) <= LONG
    (report,) = late.report()
    assert report == {"stream": 0, "of_runtime": False, "delays": 1000, "milliseconds": round(1000 * sum(seen), 1)}


def test_the_streams_of_the_runtime_are_told_from_those_of_vllm_and_from_the_main_one() -> None:
    late = Lateness(2, LONG)
    for _ in range(60):
        step(late)
    assert [(one["stream"], one["of_runtime"]) for one in late.report()] == [(0, False), (1, True), (2, False)]
    assert all(one["delays"] for one in late.report())


def test_a_stream_that_is_no_longer_entered_is_not_waited_for() -> None:
    late = Lateness(2, LONG)
    step(late, [(side, True) for side in range(100, 140)])  # as the streams on which graphs are captured
    for _ in range(2 * SPAN - 1):
        step(late)
    late_ones = [sum(step(late).values()) > 0 for _ in range(300)]
    assert all(late_ones)


def test_the_same_seed_gives_the_same_delays_whatever_the_handles_are() -> None:
    def delays(seed: int, handle: int) -> list[float]:
        late = Lateness(seed, LONG)
        return [value for _ in range(30) for value in step(late, [(handle, True)]).values()]

    assert delays(2, SIDE) == delays(2, 7)
    assert delays(2, SIDE) != delays(3, SIDE)


def test_a_delay_outlasts_steps_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = HostPace()
    assert pace.longest_delay() == LEAST
    for moment in (0.0, 0.9, 0.905, 0.91, 0.915):  # the first step compiles
        monkeypatch.setattr(lateness.time, "monotonic", lambda moment=moment: moment)
        pace.begin_step()
    assert pace.longest_delay() == pytest.approx(LONGEST * 0.005)


def test_worker_and_scenarios_agree_on_the_repeats_without_delays() -> None:
    assert lateness.UNDELAYED == scenario.UNDELAYED
