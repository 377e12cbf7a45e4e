"""README.md and docs/: what they say of releases, counts, workflows and messages is what the repository has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import in_this_process
import pytest
import yaml
from fresh_checkout import CHECKOUT, blocks, section
from rich.text import Text

from patchkit.environments.lock import find_lock, locked_releases, pythons
from patchkit.gates.evidence import read_evidence
from patchkit.gates.loading import load_scenarios
from patchkit.project import Project
from patchkit.proof.table import evidence_files, make_table
from patchkit.report.phrases import headline
from patchkit.report.progress_lines import closing_line, verdict_line
from patchkit.report.support_table import support_table
from patchkit.series.manifest import read_manifest
from patchkit.verbs.prove import changes

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((CHECKOUT / "docs").glob("*.md"))
NUMBERS = {8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen"}
NUMBERS |= {16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty"}


ESAMP = CHECKOUT / "patches" / "esamp"


def gates(device: str = "cuda") -> list[str]:
    """The gates that make sense on a device; on CUDA all do."""
    scenarios = load_scenarios(Project(CHECKOUT, CHECKOUT / ".patchkit"), "esamp")
    return [name for name, scenario in scenarios.items() if not scenario.left_out_whole("eager", device)]


def test_what_is_proven_and_the_support_table_are_those_of_the_evidence() -> None:
    project, manifest = Project(CHECKOUT, CHECKOUT / ".patchkit"), read_manifest(ESAMP)
    table, _ = make_table(project, manifest, evidence_files(project))
    assert changes(project, manifest, table) == {}, "run `./go prove`"
    assert support_table(table) in README


def test_the_commands_are_of_the_newest_proven_release() -> None:
    table = read_manifest(ESAMP).table
    newest, on_cuda = table.newest("v1", "cpu"), table.newest("v1", "cuda")
    start = blocks(section("README.md", "Start"))
    assert start[0].startswith(f"./go gate --vllm {newest} ")
    named = re.findall(r"--vllm (\d[\d.]*\d)(.*)", README)
    assert len(named) > 10
    assert {(release, "--device cuda" in rest) for release, rest in named} == {(newest, False), (on_cuda, True)}


def test_the_python_that_a_release_needs_is_that_of_its_lock() -> None:
    (named, python) = re.search(r"From vLLM (\S+) on it needs\nPython (3\.\d+)", README).groups()  # type: ignore[union-attr]
    needs = {release: pythons(find_lock(release, "cpu"))[0] for release in locked_releases("cpu")}
    assert next(release for release, oldest in needs.items() if oldest != "3.10") == named
    assert needs[read_manifest(ESAMP).table.newest()] == python
    assert needs["0.20.0"] == "3.10"


@pytest.mark.parametrize("page", ["README.md", "docs/gates.md"])
def test_mutants_are_counted(page: str) -> None:
    mutants = [path.read_text(encoding="utf-8") for path in (ESAMP / "mutants").rglob("*.patch")]
    equivalent = sum("\nEquivalent: " in mutant for mutant in mutants)
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    assert re.search(rf"{len(mutants)}\s(mutants|in\s`\S+`), {equivalent} of them equivalent", text)


def test_gates_and_patches_are_counted() -> None:
    patches = list(ESAMP.glob("*.patch"))
    assert f"ESamp's series has {len(patches)} patches" in README
    assert f"all {NUMBERS[len(gates('cpu'))]} gates are green" in README
    taken = [len(proof.patches) for proof in read_manifest(ESAMP).table.proofs]
    assert max(taken) < len(patches), "a release takes all of them"


def test_every_gate_has_its_line() -> None:
    text = (CHECKOUT / "docs" / "gates.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(gates())


def test_the_workflow_names_no_release_of_the_gates_itself() -> None:
    jobs = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "gates.yml").read_text(encoding="utf-8"))["jobs"]
    assert "./go prove --matrix" in jobs["plan"]["steps"][-1]["run"]
    assert jobs["gate"]["strategy"]["matrix"] == {"include": "${{ fromJSON(needs.plan.outputs.runs) }}"}
    assert not re.search(r"\d+\.\d+\.\d", json.dumps(jobs["gate"]))


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_the_gates_that_are_shown_are_those_of_the_evidence(page: str) -> None:
    (shown,) = [
        block for block in blocks((CHECKOUT / page).read_text(encoding="utf-8")) if "✓ monotonic_bench" in block
    ]
    assert gates(), "figures are said in the words of the runtime's own invariants, which come with its gates"
    command, *lines = shown.splitlines()
    file = command.rpartition("--evidence ")[2]
    record = read_evidence(CHECKOUT / file)
    width = max(len(verdict.scenario) for verdict in record.verdicts)
    marked = [verdict_line(verdict, width) for verdict in record.verdicts]
    marked.append(closing_line(record, len(record.verdicts), file))
    printed = [headline(record), *(Text.from_markup(line).plain for line in marked)]
    assert [line for line in lines if line != "…" and line not in printed] == []
    assert (lines[0], lines[-1]) == (printed[0], printed[-1])


def test_the_gates_of_each_release_are_counted_in_the_results() -> None:
    proofs = [one for one in read_manifest(ESAMP).table.proofs if (one.device, one.runner) == ("cpu", "v1")]
    firsts = {one.gates: one.release for one in reversed(proofs)}
    (first, _), *later = sorted(firsts.items())
    said = ", ".join([f"{NUMBERS[first]} gates", *(f"{NUMBERS[count]} from {since} on" for count, since in later)])
    text = " ".join((CHECKOUT / "docs" / "results.md").read_text(encoding="utf-8").split())
    assert f"{said}." in text


NAMED = re.compile(r"(?<![\w/.*])[\w.-]+(?:/[\w.-]+)+\.(?:py|yaml|yml|json|md|patch)\b")
MADE_UP = re.compile(r"NAME|^v1/|^\.patchkit/")
OF_VLLM = "drifts.md"


@pytest.mark.parametrize(
    "document",
    [CHECKOUT / "README.md", *(path for path in (CHECKOUT / "docs").glob("*.md") if path.name != OF_VLLM)],
    ids=lambda path: path.name,
)
def test_every_file_that_is_named_exists(document: Path) -> None:
    there = [path.relative_to(CHECKOUT).as_posix() for path in files_here()]
    for name in NAMED.findall(re.sub(r"https?://\S+", "", document.read_text(encoding="utf-8"))):
        ours = any(path == name or path.endswith(f"/{name}") for path in there)
        assert ours or MADE_UP.search(name) or (document.parent / name).exists(), name


def files_here() -> list[Path]:
    """Every file of the checkout that is not hidden."""
    found = [path for path in CHECKOUT.glob("*") if path.is_file()]
    for folder in ("patchkit", "patches", "scenarios", "evidence", "tests", "docs", "examples", "benchmarks"):
        found += (CHECKOUT / folder).rglob("*.*")
    return found


def test_the_knock_out_that_is_shown_is_that_of_the_evidence() -> None:
    (shown,) = blocks((CHECKOUT / "docs" / "gates.md").read_text(encoding="utf-8"))
    printed = rendered("evidence/knockout-0.20.0-cpu.json")
    _command, *lines, last = shown.splitlines()
    assert [line for line in lines if line != "…" and line.rstrip() not in printed] == []
    assert re.match(r"(\d+) of \1 patches caught; \1 needed in \d+ s  evidence/knockout-0.20.0-cpu.json", last)


def test_the_timeline_that_is_shown_is_that_of_the_evidence() -> None:
    shown = next(block for block in blocks((CHECKOUT / "docs" / "scanner.md").read_text("utf-8")) if "--since" in block)
    _command, *lines, _last = shown.splitlines()
    assert {*lines} <= {*rendered("evidence/drift-0.10.1.1-0.33.0.json")}


def rendered(file: str) -> list[str]:
    """The lines that `patchkit report` prints of a file of evidence."""
    done = in_this_process.run("report", file, cwd=CHECKOUT)
    return [line.rstrip() for line in done.stdout.splitlines()]


def sources() -> str:
    """Everything that may print a message, with the strings that are split over lines put together."""
    files = [CHECKOUT / "go", *(CHECKOUT / "patchkit").rglob("*.py"), *(CHECKOUT / "patches").glob("*/*.patch")]
    files += (CHECKOUT / "patches").rglob("upstream/**/*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r"\"\s*\n\+?\s*f?\"", "", text)


def test_every_line_of_the_troubleshooting_is_one_that_is_printed() -> None:
    said = re.findall(r"^\| `([^`]+)` \|", section("README.md", "Troubleshooting"), re.MULTILINE)
    printed = sources().replace("{device}", "cuda")
    assert len(said) > 9 and [line for line in said if line not in printed] == []


def anchors(path: Path) -> set[str]:
    """The anchors that code hosts make of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 230
