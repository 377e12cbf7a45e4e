"""Tables have a heading over every column, and in a pipe no symbol is split."""

from __future__ import annotations

import ast
import functools
import io
from pathlib import Path

import msgspec
import pytest
from made_evidence import evidence_of, green, red, without
from rich.console import Console
from rich.text import Text

from patchkit.drift.drift import Drift, Read
from patchkit.drift.findings import Finding
from patchkit.gates.evidence import Evidence
from patchkit.report import tables, terminal
from patchkit.report.drift.terminal import show as show_drift
from patchkit.report.drift.terminal import show_timeline

PACKAGE = Path(__file__).parents[2] / "patchkit"
LONG = "vllm.v1.worker.gpu_model_runner.GPUModelRunner." + "a_method_with_a_long_name_" * 10
SENTENCE = "a reason in many words, " * 20


def piped(columns: list[str], *rows: list[str]) -> list[str]:
    table = tables.plain(*columns)
    for row in rows:
        table.add_row(*map(Text, row))
    page = io.StringIO()
    tables.show(table, Console(file=page, width=80))
    return page.getvalue().splitlines()


def test_a_row_is_one_line_in_a_pipe_and_nothing_of_it_is_cut() -> None:
    heading, row, short = piped(["symbol", "how", "where"], [LONG, "calls", SENTENCE], ["short", "reads", ""])
    assert heading.split() == ["symbol", "how", "where"]
    assert row.split("  ")[0] == LONG and row.endswith(SENTENCE.strip())
    assert short == short.rstrip()


def test_a_terminal_sets_the_width() -> None:
    table = tables.plain("symbol", "where", whole=["symbol"])
    table.add_row("a.symbol", LONG)
    page = io.StringIO()
    tables.show(table, Console(file=page, width=60, force_terminal=True, no_color=True, legacy_windows=False))
    lines = page.getvalue().splitlines()
    assert len(lines) > 3 and "a.symbol" in lines[1]


def long_evidence() -> list[Evidence]:
    gate = evidence_of("gate", [green(LONG, rows=1), red(LONG + "2")])
    knockout = evidence_of("knockout", [green("identity")], [without(LONG, "identity", "identity", identity=False)])
    knocked = msgspec.structs.replace(knockout.knockouts[0], need="harmful", need_why=SENTENCE)
    return [gate, msgspec.structs.replace(knockout, knockouts=[knocked])]


def test_evidence_in_a_pipe_has_long_names_whole() -> None:
    for evidence in long_evidence():
        page = io.StringIO()
        terminal.show(evidence, Console(file=page, width=80))
        assert LONG in page.getvalue()
        assert any(line.startswith(f"harmful  {LONG}") for line in page.getvalue().splitlines()) == bool(
            evidence.knockouts
        )


def test_the_timeline_and_what_to_look_at_have_headings(capsys: pytest.CaptureFixture[str]) -> None:
    look = Finding("body-changed", "look", LONG, SENTENCE)
    read = Read("0.1.0", "a.whl", True)
    drift = Drift("toy", "0" * 40, read, Read("0.2.0", "b.whl", True), (), (), (look,), ())
    show_drift(drift)
    shown = capsys.readouterr().out.splitlines()
    heading = next(number for number, line in enumerate(shown) if line.startswith("symbol"))
    assert shown[heading].split("  ")[0] == "symbol" and SENTENCE.strip() in shown[heading + 1]
    show_timeline([drift])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["vLLM", "silent", "loud", "look", "harmless", "gates"]
    assert second.split() == ["0.2.0", "·", "·", "1", "·", "proven"]
    assert first.index("look") == second.index("1", len("0.2.0"))


@functools.cache
def calls() -> list[tuple[str, ast.Call, str]]:
    """Every call in the package, with its file and the name that is called."""
    return [
        (path.relative_to(PACKAGE).as_posix(), node, ast.unparse(node.func))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def test_every_table_of_a_terminal_is_made_in_one_place() -> None:
    imports = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "from rich.table import" in path.read_text(encoding="utf-8")
    }
    made = {file for file, _, name in calls() if name == "Table" and file in imports}
    assert made == {"report/tables.py"}


def test_no_heading_is_empty() -> None:
    found = [(file, node) for file, node, name in calls() if name.split(".")[-1] in ("plain", "table") and node.args]
    assert len(found) > 15
    for file, node in found:
        head = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else node.args
        assert not [one for one in head if isinstance(one, ast.Constant) and not one.value], (file, node.lineno)


def test_one_tick_mark_is_used() -> None:
    for path in PACKAGE.rglob("*"):
        if path.suffix in (".py", ".jinja", ".css"):
            assert not {*"✅❌✔✘☑"} & {*path.read_text(encoding="utf-8")}, path
