"""Kernels of a profile, added up by stream; no torch is needed for it."""

from hypothesis import given
from hypothesis import strategies as st

from patchkit.worker.kernel_times import kernel_times

MODEL, SIDE = 7, 3  # as the profiler numbers streams


def test_the_stream_with_the_most_kernels_is_the_first_though_another_is_busier() -> None:
    kernels = [(SIDE, "adam", 900.0), *[(MODEL, "gemm", 10.0)] * 4, (MODEL, "adam", 2.0), (SIDE, "adam", 100.0)]
    found, busy = kernel_times(kernels, steps=2)
    assert busy == [21.0, 500.0]
    assert [(one.stream, one.name, one.microseconds, one.calls) for one in found] == [
        (2, "adam", 500.0, 1.0),
        (1, "gemm", 20.0, 2.0),
        (1, "adam", 1.0, 0.5),
    ]


def test_nothing_ran_on_the_device() -> None:
    assert kernel_times([], steps=3) == ([], [])


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 9).map(float))), st.integers(1, 9))
def test_no_time_is_lost_or_counted_twice(kernels: list[tuple[int, str, float]], steps: int) -> None:
    found, busy = kernel_times(kernels, steps)
    spent = sum(microseconds for _, _, microseconds in kernels)
    assert abs(sum(busy) * steps - spent) < 1e-6
    assert abs(sum(one.microseconds for one in found) * steps - spent) < 1e-6
    assert abs(sum(one.calls for one in found) * steps - len(kernels)) < 1e-6
    assert {one.stream for one in found} == set(range(1, len(busy) + 1))
