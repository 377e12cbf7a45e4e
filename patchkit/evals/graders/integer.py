r"""Answers that are integers: the last ``\boxed{}``, else the last "answer is …", else the last number of the text.

A number is read whole. ``2.5``, ``1e-3``, ``10^2`` and ``10:30`` are answers that are no integers, and wrong, never 5,
1, 2 or 30; ``1,234``, ``1 234``, ``025`` and ``3.0`` are 1234, 1234, 25 and 3. What stands in the last box is the
answer even if it is no number. Numbers stay text: there is no length that overflows, and none that Python refuses.
"""

from __future__ import annotations

import re
from fractions import Fraction

from patchkit.errors import PatchkitError
from patchkit.evals.graders.answer_extraction import answer_part, stated
from patchkit.evals.graders.styles import flatten_styles, strip_styles
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

# thousands by commas or by single spaces, if all groups are whole; else a run of digits
DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|(?<![0-9] )[0-9]{1,3}(?: [0-9]{3})+(?! ?[0-9])|[0-9]+)"
# what makes more of a number than an integer: decimals, fractions, lists, times, exponents, powers, an underscore
MORE = r"(?:[.,/:][0-9]+|[eE][-+]?[0-9]+|_\w+|(?:\^\{?|\*\*)[-+]?[0-9]+\}?|[²³¹⁰⁴-⁹¼-¾⅐-⅞])"
NUMBER = rf"(?:(?<![\w)\]}}^])[-+])?(?<![\w.^])(?<!\^[-+{{])(?:{DIGITS}|\.[0-9]+){MORE}*"
LAST_NUMBER = re.compile(NUMBER, re.ASCII)  # a Chinese word may stand against a number
NO_OPERATION = r"(?!\**\s*[-+/^=]|\s+\*(?!\*)|\*(?:\s*[0-9(]|\w))"  # closing asterisks are none
SAYS = (
    r"(?:\banswer(?:\s+(?:is|was|equals|(?:should|would|must|will|can only)\s+be))?"
    r"(?:\s+(?:therefore|thus|then|just|simply|exactly|clearly))?"
    r"|(?:答案|(?<!回)答(?=[:：]))(?:应该|应|就|即|等于)?)"  # noqa: RUF001
    r"[\s:=*$(：是为【一共有]{0,9}(?:[A-Za-z]\s*=[\s$]*)?"  # noqa: RUF001
)
ANSWER_IS = re.compile(
    rf"{SAYS}(?=(?P<number>{NUMBER}))(?P=number){NO_OPERATION}",
    re.IGNORECASE | re.ASCII,
)
INTEGER = re.compile(r"-?[0-9]+")
WHOLE = re.compile(rf"([-+]?)({DIGITS})(?:\.0+)?")
IN_A_BOX = re.compile(rf"({NUMBER})(?:\^?\\circ|\\degree|°|\\?%)?[.。]?", re.ASCII)

LOOK = re.compile(r"\\(?:displaystyle|textstyle|large|Large|LARGE|huge|Huge|left|right|bf|rm|it|sf|tt)(?![A-Za-z])")
DELIMITER = re.compile(r"\\[()\[\]]")
CURRENCY = re.compile(r"\\\$|[$€£¥]")
MODULUS = re.compile(r"(?:\\pmod\s*(?:\{[^{}]*\}|\w+)|\\[bp]?mod\b.*|\(\s*\\?mod\b[^)]*\)|\s+mod\b.*)\s*$")
# words at the end; not those that make a list of it, nor 百, 千, 万 and 亿, which multiply
UNIT = re.compile(
    r"(?<=[0-9])(?:\s+(?!(?:or|and|to|times)\b)[A-Za-z]{2,}(?:\^\{?[0-9]\}?)?(?:\s+[A-Za-z]+)*"
    r"|\s*(?![百千万亿])[\u4e00-\u9fff]+)[.。]?$"
)
LEAD = re.compile(r"^(?:\**(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\**\s*[:=]?|答案\s*[:：是为])\s*", re.IGNORECASE)  # noqa: RUF001
RELATION = re.compile(r"\\(?:equiv|approx|Rightarrow|implies)(?![A-Za-z])|[≡≈]")
SCIENTIFIC = re.compile(
    r"([-+]?[0-9]+(?:\.[0-9]+)?)(?:\s*(?:\*|\\times|\\cdot)\s*10\^\{?|[eE])([-+]?[0-9]{1,2})\}?", re.ASCII
)
QUOTIENT = re.compile(r"(-?)\\[dt]?frac\s*\{\s*(-?[0-9]{1,18})\s*\}\s*\{\s*(-?[0-9]{1,18})\s*\}")

WORDS = re.compile(r"\\text\{([^{}]*)\}(\s*\^\s*(?:[0-9]|\{[0-9]\}))?")  # of what `styles.flatten_styles` leaves
SPACES = {r"\,": " ", r"\;": " ", r"\:": " ", r"\ ": " ", r"\!": "", "{,}": ","}
LATEX_SPACE = re.compile("|".join(map(re.escape, SPACES)))
SIGN_APART = re.compile(
    r"((?:(?:^|[=:(]|\bis)[ \t*]*|\$)[-+])[ \t]+(?=[.0-9])", re.MULTILINE
)  # nothing to subtract from
SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),  # hyphens, the dash of figures, the en dash, minus
        **dict.fromkeys("\u00a0\u2009\u202f\u3000", " "),  # spaces that do not break, thin ones
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},  # full-width
        **dict.fromkeys("\uff0d", "-"),
        "\uff0c": ",",
        **{"×": "*", "⋅": "*", "·": "*", "÷": "/"},  # noqa: RUF001
    }
)
LATEX_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/"}
OPERATION = re.compile(r"(?<![0-9.])[0-9]+(?:\.[0-9]+)?(?:[ \t]*[-+*/^][ \t]*[0-9]+(?:\.[0-9]+)?)+")


def grade(problem: Problem, text: str) -> Grade:
    """Right if the text comes down to the integer of the reference."""
    expected = WHOLE.fullmatch(problem.reference.strip())
    if expected is None:
        raise PatchkitError(
            f"the reference of {problem.id} is `{problem.reference[:40]}`", "the grader `integer` needs an integer"
        )
    answer, approach = read_answer(text), read_operations(text)
    if answer is None:
        return Grade(correct=False, approach=approach, why="no answer", unread=True)
    if answer == normalize(expected.group()):
        return Grade(correct=True, answer=answer, approach=approach, unread=False)
    why = "another integer" if INTEGER.fullmatch(answer) else "no integer"
    return Grade(correct=False, answer=answer, approach=approach, why=why, unread=False)


def grade_first_line(problem: Problem, text: str) -> Grade:
    """The same of the first line that holds a number: for short answers, of models that go on to something else."""
    return grade(problem, next((line for line in text.splitlines() if re.search("[0-9]", line)), ""))


def read_answer(text: str) -> str | None:
    """What the text comes down to: a number in its normal form, else what stands in the last box; None if nothing."""
    text = answer_part(text).translate(SIGNS)
    text = LATEX_SPACE.sub(lambda found: SPACES[found[0]], LOOK.sub(" ", text))
    answer = stated(text)
    if answer is not None:
        return _read_stated(answer)
    text = SIGN_APART.sub(r"\1", DELIMITER.sub("$", strip_styles(text)))
    said = ANSWER_IS.findall(text)
    if said:
        return _value(said[-1])
    numbers = LAST_NUMBER.findall(text)
    return normalize(numbers[-1]) if numbers else None


def _read_stated(answer: str) -> str:
    """The number that a box, or the line of an answer, comes down to; else what stands there."""
    answer = RELATION.sub("=", CURRENCY.sub("", DELIMITER.sub("", answer.replace("**", ""))))
    answer = LEAD.sub("", MODULUS.sub("", flatten_styles(answer)).strip()).strip()
    quotient = QUOTIENT.fullmatch(re.sub(r"^(-?)([0-9]+)/([0-9]+)$", r"\1\\frac{\2}{\3}", answer))
    if quotient and int(quotient[3]) and int(quotient[2]) % int(quotient[3]) == 0:
        return normalize(str(int(quotient[1] + "1") * int(quotient[2]) // int(quotient[3])))
    words = WORDS.fullmatch(answer)
    numbers = LAST_NUMBER.findall(words[1]) if words and not words[2] else []
    if len(numbers) == 1:
        return _value(numbers[0])
    tidy = _tidy(UNIT.sub("", answer))
    if SCIENTIFIC.fullmatch(tidy):
        return _value(tidy)
    number = IN_A_BOX.fullmatch(tidy) or IN_A_BOX.fullmatch(re.sub(r"^\((.*)\)$", r"\1", tidy))
    if number:
        return _value(number[1])
    return _tidy(answer) or (words[1].strip() if words else "") or answer


def _value(number: str) -> str:
    """A number in its normal form; one in scientific notation that is an integer is that integer."""
    scaled = SCIENTIFIC.fullmatch(number)
    value = Fraction(scaled[1]) * Fraction(10) ** int(scaled[2]) if scaled else Fraction(1, 2)
    return normalize(str(value)) if value.denominator == 1 else normalize(number)


def normalize(number: str) -> str:
    """``number`` without separators, plus sign, leading zeros and an empty fraction; as it is if it is no integer."""
    whole = WHOLE.fullmatch(number)
    if whole is None:
        return number.lstrip("+")
    digits = re.sub("[, ]", "", whole[2]).lstrip("0") or "0"
    return f"-{digits}" if whole[1] == "-" and digits != "0" else digits


def read_operations(text: str) -> str | None:
    """The calculations that the text writes down, results and brackets aside, in order: ``20+30;7+8;50+15``.

    It is the way that was taken: a wrong result of the same calculation is the same way. None if there is none.
    """
    for name, sign in LATEX_SIGNS.items():
        text = text.replace(name, sign)
    text = re.sub(r"[(){}$\\,]", "", text.translate(SIGNS))
    text = re.sub(r"(?<=[0-9])[ \t]*x[ \t]*(?=[0-9])", "*", text)
    steps = [re.sub(r"[ \t]", "", found) for found in OPERATION.findall(text)]
    return ";".join(step for i, step in enumerate(steps) if i == 0 or step != steps[i - 1]) or None


def _tidy(box: str) -> str:
    """What a box holds after the last ``=``, without words, braces and spaces; one between two digits stays."""
    bare = " ".join(re.sub(r"[{}$]", "", WORDS.sub(_number_or_nothing, box)).split())
    return re.sub(r"(?<![0-9]) | (?![0-9])", "", bare).rpartition("=")[2]


def _number_or_nothing(words: re.Match[str]) -> str:
    return words[1] + (words[2] or "") if re.search("[0-9]", words[1]) else ""
