"""Evidence of ``bench throughput`` in every form; a row that is not alive has no figure in any."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import made_site as made
import msgspec
import pytest
from made_throughput import DEAD, ratio, row, throughput

from patchkit.bench.throughput_evidence import ThroughputRow, Timing, read_throughput
from patchkit.cli import main
from patchkit.gates.events import StepTime
from patchkit.gates.evidence import to_json
from patchkit.report.throughput.cases import of_throughput
from patchkit.report.throughput.markdown import BEGIN, END, render_table, with_throughput
from patchkit.report.throughput.phrases import profiles, verdict
from patchkit.report.throughput.plot import plot

Report = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    """``patchkit report`` of the made-up evidence."""
    path = tmp_path / "bench-seven.json"
    path.write_text(to_json(throughput()))

    def run(form: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["patchkit", "report", str(path), "--format", form])
        with pytest.raises(SystemExit) as done:
            main()
        return int(done.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_figures_stand_with_their_interval_and_what_they_are_against(report: Report, form: str) -> None:
    code, out, _ = report(form)
    plain = out.replace("\\", "")
    assert code == 1, "a row is dead"
    assert "qwen2.5-7b shapes, random weights, vLLM 0.20.0" in plain
    assert "0.960 [0.956, 0.965]" in plain and "1,000 graphs" in plain
    assert "0.910 [0.906, 0.915]" in plain
    assert DEAD in plain and "RuntimeError: no <graphs>" in plain
    assert "gemm<128>" in plain and "stream 2" in plain
    assert "µs a step, graphs strength=2 8x2, plain: 16,000; busy: stream 1 11, stream 2 2, host 950" in plain
    assert "127: 1,024.0" in plain


def test_a_profile_of_older_evidence_has_no_streams_and_one_without_runs_no_step() -> None:
    made = throughput()
    profile = msgspec.structs.replace(made.profiles[0], plain=StepTime(12.4, 950.0, []), patched=None)
    titles = [title for title, _ in profiles(msgspec.structs.replace(made, profiles=[profile], rows=[]))]
    assert titles == ["µs a step, graphs strength=2 8x2, plain: busy: device 12, host 950"]


def test_the_table_alone_has_no_figure_of_a_dead_row() -> None:
    lines = render_table(throughput()).splitlines()
    assert len(lines) == 6
    assert lines[2].startswith("| graphs | strength=2 | 8 x 2 | 1,000 graphs | 962 | 0.960 ")
    assert "**dead**" in lines[4] and "962" not in lines[4]
    assert "**error**" in lines[5]


def table_of(*rows: ThroughputRow) -> tuple[list[str], list[str]]:
    """Headings and the cells of the first row."""
    lines = render_table(msgspec.structs.replace(throughput(), rows=list(rows))).splitlines()
    heading, first = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[2]))
    return heading, first


def test_a_host_that_was_not_steady_shows_beside_the_ratio() -> None:
    runs = [Timing(seconds=seconds, tokens=1000) for seconds in (1.0, 1.1, 1.5)]
    heading, first = table_of(row(2, plain={"graphs": runs}))
    assert first[heading.index("plain's own spread")] == "1.50"


def test_the_ratio_in_the_same_mode_has_a_column_where_it_is_another() -> None:
    same = "to plain in the same mode"
    assert same not in table_of(row(2))[0]
    heading, first = table_of(row(2, mode="eager", same_mode=ratio(1.9)))
    assert first[heading.index(same)].startswith("1.900 ")


def test_what_the_device_alone_took_stands_beside_the_ratio_of_a_row_that_was_profiled_by_stream() -> None:
    made = throughput()
    plain, patched = (StepTime(12.0, 950.0, [], streams) for streams in ([9.0, 1.0], [10.0, 2.0]))
    profiled = [msgspec.structs.replace(made.profiles[0], plain=plain, patched=patched)]
    rows = [row(2), row(16), row(2, standing="dead", why=DEAD, ratio=None)]
    heading, _, *cells = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in render_table(msgspec.structs.replace(made, rows=rows, profiles=profiled)).splitlines()
    )
    column = heading.index("ratio by device time")
    assert [one[column] for one in cells] == ["0.900", "-", ""], "one was profiled, one was not, one is dead"


def test_the_device_time_of_a_dead_row_is_no_figure_either() -> None:
    assert "ratio by device time" in table_of(row(2))[0]
    assert "ratio by device time" not in table_of(row(2, standing="dead", why=DEAD, ratio=None))[0]


@pytest.mark.parametrize("streams", [[], [0.0]])
def test_without_a_profile_by_stream_nothing_is_said_of_the_device(streams: list[float]) -> None:
    made = throughput()
    nothing = StepTime(12.0, 950.0, [], streams)
    for changes in ({"plain": None}, {"patched": None}, {"plain": nothing, "patched": nothing}):
        profiled = [msgspec.structs.replace(made.profiles[0], **changes)]
        assert "device time" not in render_table(msgspec.structs.replace(made, profiles=profiled))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(2)], "0.960 x the fastest plain vLLM"),
        ([row(2), row(16, ratio=ratio(0.98))], "0.960 to 0.980 x the fastest plain vLLM"),
        ([row(2, standing="dead", why=DEAD, ratio=None)], "1 of 1 row without a figure"),
    ],
)
def test_the_verdict_says_the_span_of_the_ratios(rows: list[ThroughputRow], said: str) -> None:
    assert verdict(msgspec.structs.replace(throughput(), rows=rows)) == said


def test_a_dead_row_is_a_failure_and_an_error(report: Report) -> None:
    code, out, _ = report("junit")
    (suite,) = ET.fromstring(out.encode())
    cases = {case.get("name"): [one.get("message", "") for one in case] for case in suite.iter("testcase")}
    assert (code, suite.get("tests"), suite.get("failures")) == (1, "4", "2")
    assert [message[:6] for found in cases.values() for message in found] == ["dead: ", "error:"]
    code, out, _ = report("github")
    first, second, last = out.splitlines()
    assert (
        code == 1
        and first.startswith("::error title=throughput of ")
        and "::dead: the runtime was not at work" in first
    )
    assert "::error: " in second and last.startswith("::error title=") and "2 of 4 rows without a figure" in last


@pytest.mark.parametrize("rows", [[], [row(16)]])
def test_a_run_that_was_cut_short_does_not_pass(rows: list[Any]) -> None:
    evidence = msgspec.structs.replace(throughput(), rows=rows, finished=False)
    (suite,) = of_throughput(evidence).suites
    assert [case.name for case in suite.cases if not case.passed] == ["measured to its end"]


def test_evidence_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_text(to_json(throughput()))
    assert read_throughput(path) == throughput()
    assert not read_throughput(path).passed
    assert json.loads(path.read_text())["rows"][2]["ratio"] is None


def test_a_run_that_was_stopped_keeps_its_rows_and_is_no_success(tmp_path: Path) -> None:
    found = throughput()
    found.rows = found.rows[:2]
    assert found.passed
    found.finished = False
    assert not found.passed
    page = made.site(made.write(tmp_path, seven=found))["throughput-seven.html"]
    assert "stopped before its end" in words(page) and "0.960 [0.956, 0.965]" in words(page)


def test_a_document_gets_the_tables_between_its_marks_alone() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    made_ = with_throughput(text, [("bench-a.json", throughput()), ("bench-b.json", throughput())])
    assert made_.startswith(f"before\n{BEGIN}\n") and made_.endswith(f"{END}\nafter\n")
    assert "old" not in made_
    assert made_.count("| graphs | strength=2 | 8 x 16 |") == 2
    assert "`bench-a.json`" in made_
    assert with_throughput(made_, [("bench-a.json", throughput()), ("bench-b.json", throughput())]) == made_
    assert "Nothing is measured yet." in with_throughput(text, [])
    assert with_throughput("no marks", []) == "no marks"


def test_the_plot_has_a_mark_and_an_interval_for_each_figure_and_none_for_others() -> None:
    drawn = ET.fromstring(str(plot(throughput().rows, "p")))
    assert len(drawn.findall("circle")) == 2
    assert len([line for line in drawn.findall("line") if "interval" in line.get("class", "")]) == 2
    assert [text.text for text in drawn.findall("text")][-1] == "graphs strength=2"
    heights = [float(circle.get("cy", "")) for circle in drawn.findall("circle")]
    assert heights[0] > heights[1], "the higher ratio is higher"
    assert plot([row(2, ratio=None)], "p") == ""


def test_the_plot_takes_one_count_of_rows_and_nothing_for_markup() -> None:
    drawn = str(plot([row(2, settings="<b>a</b>")], "p"))
    assert "<b>" not in drawn
    ET.fromstring(drawn)


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_site_has_the_plot_the_rows_and_the_dead_in_red(tmp_path: Path) -> None:
    found = made.site(made.write(tmp_path, seven=throughput(), older=made.bench()))
    page: Any = found["throughput-seven.html"]
    assert "0.960 [0.956, 0.965]" in words(page) and "<svg" in page
    assert '<span class="state red">' in page and DEAD in words(page)
    (dead,) = re.findall(r"<tr><th[^>]*>graphs <span class=\"quiet\">strength=3.*?</tr>", page)
    assert "962" not in words(dead), "its speed means nothing"
    assert "gemm&lt;128&gt;" in page and "RuntimeError: no &lt;graphs&gt;" in page
    listed = words(found["throughput.html"])
    assert "qwen2.5-7b shapes, random weights, graphs strength=2 8x16" in listed
    assert "throughput , older.json" in listed, "evidence of the benchmark as it was before is read and shown"
    assert DEAD in listed
    assert "2 rows dead or not run" in words(found["index.html"])
