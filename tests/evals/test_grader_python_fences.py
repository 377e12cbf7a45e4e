"""Code in several fences, and fences that do not end where they should."""

from __future__ import annotations

import time

import pytest

from patchkit.evals.graders.code_extraction import parsed, solution

PROMPT = 'def twice(n):\n    """Doubles."""\n'


@pytest.mark.parametrize(
    "text",
    [
        "```python\nimport operator\n```\nThen:\n```python\ndef twice(n):\n    return operator.mul(n, 2)\n```",
        "```python\ndef twice(n):\n    return add(n)\n```\n\n```python\ndef add(n):\n    return n + n\n```",
        '```python\ndef twice(n):\n    """As in\n    ```\n    twice(2)\n    ```\n    """\n    return n * 2\n```\nDone.',
        "```python\ndef twice(n):\n    return n * 2```",
        "```python\ndef twice(n):\n    return n * 2\n\nThis doubles it, as was asked.",
        "```python\ndef twice(n):\n    return n * 2\n```\nFor example:\n```python\nassert twice(2) == 5\n```",
        "```python\ndef twice(n):\n    return n * 2\n```\n```\n$ python twice.py\n4\n```",
    ],
    ids=["import", "helper", "docstring", "last-line", "prose", "example", "output"],
)
def test_the_program_is_put_together_and_doubles(text: str) -> None:
    program = solution(PROMPT, "twice", text)
    assert program and parsed(program)
    names: dict[str, object] = {}
    exec(compile(program, "<program>", "exec"), names)
    assert names["twice"](3) == 6  # type: ignore[operator]


@pytest.mark.parametrize(
    "line",
    [
        "```\n",
        "```a\nx = 1``` y\n",
        "~~~\n```\n",
        "> ```\n",
        "1. ```python\n",
        ">>> x\n",
        "<think>\n",
        "</think>\n",
        "`" * 50,
    ],
)
def test_a_long_text_of_fences_is_read_in_time(line: str) -> None:
    began = time.process_time()
    solution(PROMPT, "twice", line * (99_000 // len(line)))
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "tag", ['"<think>"', '"</think>"', '"a </think>"', '"""\n    <think>\n    """', '"""Until\n    </think>\n    """']
)
def test_code_that_speaks_of_thoughts_is_not_taken_for_one(tag: str) -> None:
    program = solution(PROMPT, "twice", f"```python\ndef twice(n):\n    mark = {tag}\n    return n * 2\n```\n")
    assert program and "return n * 2" in program and parsed(program)


def test_a_sketch_goes_before_nothing_at_all() -> None:
    assert solution(PROMPT, "twice", "```python\ndef twice(n):\n    ...\n```") == "def twice(n):\n    ...\n"
