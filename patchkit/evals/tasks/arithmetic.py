"""Arithmetic, graded in difficulty, so that a model of 135 million parameters shows every regime on a CPU.

The problems are drawn here, from a fixed seed. ``docs/tasks.md`` has what SmolLM2-135M makes of each level.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.assembly import assemble
from patchkit.evals.tasks.base import Problem, Task

SIZE = 64
MAX_TOKENS = 24


class ArithmeticProblem(NamedTuple):
    """A problem before it has an id: what is asked of a chat model, what a plain one continues, and what is right."""

    chat: str
    plain: str
    answer: int


def repeat(draw: random.Random) -> ArithmeticProblem:
    """A number of two digits, said again."""
    number, shown = draw.randrange(10, 100), draw.randrange(10, 100)
    return ArithmeticProblem(
        f"Repeat exactly: {number}", f"Repeat: {shown}\nSaid: {shown}\nRepeat: {number}\nSaid:", number
    )


def add_digits(draw: random.Random) -> ArithmeticProblem:
    """The sum of two digits."""
    a, b = draw.randrange(1, 10), draw.randrange(1, 10)
    return ArithmeticProblem(
        f"Calculate {a} + {b}. Write only the equation.", f"2 + 6 = 8\n9 + 4 = 13\n{a} + {b} =", a + b
    )


def add_tens(draw: random.Random) -> ArithmeticProblem:
    """The sum of two numbers from 10 to 49."""
    a, b = draw.randrange(10, 50), draw.randrange(10, 50)
    return ArithmeticProblem(f"Calculate {a} + {b}. Be brief.", f"25 + 61 = 86\n94 + 43 = 137\n{a} + {b} =", a + b)


def multiply_hundreds(draw: random.Random) -> ArithmeticProblem:
    """The product of two numbers of three digits."""
    a, b = draw.randrange(100, 1000), draw.randrange(100, 1000)
    return ArithmeticProblem(
        f"Calculate {a} * {b}. Be brief.", f"125 * 461 = 57625\n294 * 843 = 247842\n{a} * {b} =", a * b
    )


LEVELS: tuple[Callable[[random.Random], ArithmeticProblem], ...] = (repeat, add_digits, add_tens, multiply_hundreds)


def load(name: str) -> Task:
    """The level called ``arithmetic-1`` and so on."""
    levels = {f"arithmetic-{number}": number for number in range(1, len(LEVELS) + 1)}
    if name not in levels:
        raise PatchkitError(f"there is no task `{name}`", f"choose a level: {', '.join(levels)}")
    ask = LEVELS[levels[name] - 1]
    what = (ask.__doc__ or "").rstrip(".")
    return assemble(
        name=name,
        about=f"{what[0].lower()}{what[1:]}, read off the first line with a number",
        problems=_problems(ask, random.Random(levels[name])),
        grader="patchkit.evals.graders.integer:grade_first_line",
        max_tokens=MAX_TOKENS,
    )


def _problems(ask: Callable[[random.Random], ArithmeticProblem], draw: random.Random) -> list[Problem]:
    """``SIZE`` different problems."""
    found: dict[str, ArithmeticProblem] = {}
    while len(found) < SIZE:
        problem = ask(draw)
        found.setdefault(problem.chat, problem)
    return [
        Problem(id=str(number), chat=problem.chat, plain=problem.plain, reference=str(problem.answer))
        for number, problem in enumerate(found.values())
    ]
