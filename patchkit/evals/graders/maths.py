r"""Answers that are mathematics: fractions, radicals, sets, intervals, equations; ``math-verify`` compares them.

The last ``\boxed{}`` is the answer; without one, what ``math-verify`` finds in the text. A short text can keep sympy
busy for ever (``10^{10^{10}}``), and ``math-verify``'s own time limit takes the process's alarm signal, so it is off:
the caller of this grader must be able to end its process.
"""

from __future__ import annotations

import functools
import logging
import re
from typing import Any

from patchkit.errors import PatchkitError
from patchkit.evals.graders.answer_extraction import answer_part, delimited, stated
from patchkit.evals.graders.integer import INTEGER, read_answer, read_operations
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

FULL_STOP = re.compile(r"(?<=[0-9])\.(?=\s|$)")  # of a sentence; math-verify reads 7/3. as a quotient of floats


def grade(problem: Problem, text: str) -> Grade:
    """Right if the text comes down to what the reference says, in whatever form."""
    from math_verify import verify

    expected = _parse_reference(problem.reference)
    if not expected:
        raise PatchkitError(
            f"the reference of {problem.id} is `{problem.reference[:40]}`",
            "the grader `maths` needs a number, or LaTeX without text around it",
        )
    text, approach = answer_part(text), read_operations(text)
    box = stated(text)
    if box is None:
        box = delimited(text)
    if box is not None:
        box = _integer(box) or box
    elif "答案" in text:
        box = read_answer(text)
    found = _parse(FULL_STOP.sub("", text) if box is None else _boxed(box))
    if not found:
        why = "no answer" if box is None else "no mathematics"
        return Grade(correct=False, answer=box, approach=approach, why=why, unread=True)
    try:
        correct = verify(expected, found, timeout_seconds=None) and not _differ(expected[0], found[0])
    except Exception:  # sympy raises what it likes
        correct = False
    why = "" if correct else "another answer"
    return Grade(correct, _normalize(*found), approach, why, unread=False)


def _integer(box: str) -> str | None:
    """The integer that `integer` reads in a box; None where it may be a list, equations or a share in percent."""
    if (
        box.count("=") > 1
        or "%" in box
        or re.search(r"[;\n]|,(?![0-9]{3})", box.replace("{,}", ",").replace(r",\!", ","))
    ):
        return None
    if "," in box and box.lstrip("$ ").startswith(("(", "[", "\\left")):  # a pair, no thousands
        return None
    number = read_answer(_boxed(box))
    return number if number and INTEGER.fullmatch(number) else None


def _differ(one: Any, other: Any) -> bool:
    """Whether both are exact rationals, and not the same one; ``verify`` compares six decimals."""
    import sympy

    rationals = [value.doit() if isinstance(value, sympy.Expr) else value for value in (one, other)]
    return all(isinstance(value, sympy.Rational) for value in rationals) and rationals[0] != rationals[1]


def _normalize(found: Any, written: str = "") -> str:
    """``1/2``, ``0.5`` and ``50\\%`` are one answer, and so are ``x=5`` and ``5``; a decimal is what its digits say."""
    import sympy

    try:
        if isinstance(found, sympy.Equality) and found.lhs.is_Symbol:
            found = found.rhs
        if isinstance(found, sympy.Basic):
            found = found.doit()
        if isinstance(found, sympy.Expr):
            found = sympy.nsimplify(found, rational=True)
        return str(found).strip()
    except Exception:  # such as an integer too long to be written
        return written


def _boxed(expression: str) -> str:
    return f"\\boxed{{{expression}}}"


@functools.lru_cache(maxsize=256)
def _parse_reference(reference: str) -> Any:
    is_marked = "$" in reference or "\\boxed" in reference or "\\(" in reference
    return _parse(reference if is_marked else _boxed(reference))


def _parse(text: str) -> Any:
    """What ``math-verify`` finds: a sympy object and the text it was made of, or that text alone, or nothing."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time limit is off
    return parse(text, [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()], parsing_timeout=None)
