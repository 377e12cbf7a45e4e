"""Figures as people write them, the same in every form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from patchkit.evals.number_format import MINUS, signed
from patchkit.evals.number_format import points as points
from patchkit.evals.probe_figures import number
from patchkit.evals.records import Change, FigureSeen, Rate, Solved, Throughput
from patchkit.report import phrases

NOISE_UNKNOWN = "not measured: --trials 2"


def percent(share: float) -> str:
    """``41.2%``."""
    return f"{100 * share:.1f}%"


def span(low: float, high: float) -> str:
    """``+0.3 to +5.7``."""
    return f"{points(low)} to {points(high)}"


def chance(p: float) -> str:
    """``p = 0.63``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def bare(p: float) -> str:
    """``0.63``, ``< 0.001``: for a column of p-values."""
    return chance(p).removeprefix("p ").removeprefix("= ")


def difference(change: Change) -> str:
    """``+3.0 points (+0.3 to +5.7), p = 0.036``."""
    return f"{points(change.difference)} points ({span(change.low, change.high)}), {chance(change.p)}"


def noise(change: Change) -> str:
    """``±1.2 points``, or how to measure it."""
    return NOISE_UNKNOWN if change.noise is None else f"±{100 * abs(change.noise):.1f} points"


def rate(measured: Rate | None) -> str:
    """``41.2% (33.0% to 49.8%)``."""
    if measured is None:
        return "not measured"
    return f"{percent(measured.value)} ({percent(measured.low)} to {percent(measured.high)})"


def ratio(measured: Throughput | None) -> str:
    """``0.78 x (0.63 to 0.88), 3 pairs``."""
    if measured is None:
        return "not measured"
    if measured.pairs < 2:
        return f"{measured.ratio:.2f} x, one pair: no interval"
    return f"{measured.ratio:.2f} x ({measured.low:.2f} to {measured.high:.2f}), {measured.pairs} pairs"


def moves(solved: Iterable[Solved]) -> list[str]:
    """Problems gained and lost, a pair for every trial."""
    return [f"+{len(one.gained)} {MINUS}{len(one.lost)}" for one in solved]


def figure(seen: FigureSeen) -> str:
    """``score 0.12``; ``score not known``."""
    return f"{seen.wanted.figure} {worst(seen)}"


def worst(seen: FigureSeen) -> str:
    """The worst of all processes, which is not known where one of them did not say."""
    return "not known" if seen.lowest is None or seen.known < seen.processes else signed(seen.lowest)


def over_processes(values: Iterable[object]) -> str:
    """What each process of a trial says of one figure: ``0.12``, ``0.12 to 0.3``, ``0.12 to 0.3, none in 1 of 3``."""
    every = list(values)
    numbers = [known for one in every if (known := number(one)) is not None]
    shown = list(dict.fromkeys(map(signed, sorted(numbers)[:: max(1, len(numbers) - 1)])))
    shown += dict.fromkeys(str(one) for one in every if one is not None and number(one) is None)
    without = sum(one is None for one in every)
    missing = "none" if without == len(every) else f"none in {without} of {len(every)}" if without else ""
    return ", ".join(filter(None, (" to ".join(shown), missing)))


def lasted(seconds: float) -> str:
    """``42.0 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def counter(value: float | None) -> str:
    """A runtime's counter, or that it is not known: ``7,675``."""
    return _with_minus(phrases.number(value))


def settings(given: Mapping[str, object]) -> str:
    """``temperature 0.8, top_p 0.95, enforce_eager yes``."""
    return ", ".join(f"{name} {_setting(value)}" for name, value in given.items())


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _with_minus(f"{value:g}" if isinstance(value, float) else str(value))
    return "none" if value is None else str(value)


def _with_minus(figure: str) -> str:
    return figure.replace("-", MINUS)
