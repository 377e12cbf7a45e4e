"""What CONTRIBUTING.md and README.md say to type works as typed; what needs real vLLM is in tests/e2e."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import click
import in_this_process
import pytest
import yaml
from fresh_checkout import CHECKOUT, blocks, fresh_checkout, section, without_set_up

from patchkit.cli import commands
from patchkit.gates.loading import load_scenarios
from patchkit.project import Project

NEW_KIND = '''"""A made-up kind: something that is called has another name for its first parameter."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    if case.both and case.touched("calls"):
        yield case.finding("made-up", "look", "is looked at")
'''


MODELS = ("smollm2-135m", "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "MODEL")


def typed_commands() -> list[str]:
    """Every command in the documents that begins with ./go or patchkit, without its comment."""
    found: list[str] = []
    for document in (
        "README.md",
        "CONTRIBUTING.md",
        *(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")),
    ):
        text = (CHECKOUT / document).read_text(encoding="utf-8")
        lines = [line for block in blocks(text) for line in block.splitlines()]
        inline = re.findall(r"`((?:\./go|patchkit) [^`]+)`", text)
        found += [line.removeprefix("$ ") for line in [*lines, *inline]]
    return sorted({line for line in found if re.match(r"(\./go|patchkit) [a-z]", line)})


@pytest.mark.parametrize("line", typed_commands())
def test_every_command_in_the_documents_is_one(line: str) -> None:
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    group: click.Command = commands
    if words[0] == "test":
        return
    while isinstance(group, click.Group) and words and words[0] in group.commands:
        group = group.commands[words.pop(0)]
    assert group is not commands, f"no verb {words[0]}"
    leaf = group.commands["throughput"] if isinstance(group, click.Group) else group
    known = {name for option in leaf.params for name in option.opts}
    if not leaf.allow_interspersed_args:  # what stands behind the first argument is another program's
        words = list(takewhile(lambda word: word not in MODELS, words))
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    passes_on = leaf.context_settings.get("ignore_unknown_options", False)  # to vLLM
    assert passes_on or set(options) <= {*known, "-h", "--help"}
    arguments = [option for option in leaf.params if isinstance(option, click.Argument)]
    assert arguments or not words or words[0].startswith("-"), f"takes no {words[0]}"


def test_the_route_of_a_patch(tmp_path: Path) -> None:
    checkout = without_set_up(fresh_checkout(tmp_path / "checkout"))
    route = section("CONTRIBUTING.md", "A patch")
    script, header = blocks(route)[:2]
    subject = header.splitlines()[0]
    (tmp_path / "header").write_text(header)
    assert script.count("# edit, then commit") == 1
    script = script.replace("# edit, then commit", "&& echo '# more' >> esamp/__init__.py # edit, then commit")
    environment = os.environ | {
        "GIT_EDITOR": f"cp {tmp_path / 'header'}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{role}_{what}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(["bash", "-eu", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wrote = [Path(line).name for line in done.stdout.splitlines() if line.startswith("wrote ")]
    assert len(wrote) == 2 and wrote[0].endswith(f"-{subject.replace(' ', '-')}.patch") and wrote[1] == "series"
    status = subprocess.run(["./go", "status"], cwd=checkout, capture_output=True, text=True)
    assert status.returncode == 0 and subject in status.stdout, status.stderr


def test_the_scenario_that_is_shown_is_one(tmp_path: Path) -> None:
    (example,) = blocks(section("CONTRIBUTING.md", "A scenario"), "yaml")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "patches").mkdir()
    (tmp_path / "scenarios" / "shown.yaml").write_text(example)
    scenarios = load_scenarios(Project(tmp_path, tmp_path / ".patchkit"), "none")
    assert list(scenarios) == [yaml.safe_load(example)["name"]]


def test_the_counters_that_are_shown_can_be_declared(tmp_path: Path) -> None:
    (example,) = blocks(section("CONTRIBUTING.md", "A runtime"), "yaml")
    (tmp_path / "patches").mkdir()
    assert in_this_process.run("init", "mine", cwd=tmp_path).returncode == 0
    manifest = tmp_path / "patches" / "mine" / "runtime.yaml"
    before, _, after = manifest.read_text().partition("counters:")
    manifest.write_text(before + example + after[after.index("surface:") :])
    done = in_this_process.run("status", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_route_of_a_kind_of_finding(tmp_path: Path) -> None:
    assert "patchkit/drift/findings/" in section("CONTRIBUTING.md", "A kind of finding")
    checkout = fresh_checkout(tmp_path / "checkout")
    findings = checkout / "patchkit" / "drift" / "findings"
    (findings / "made_up.py").write_text(NEW_KIND)
    listed = (findings / "__init__.py").read_text()
    listed = listed.replace("    moved,\n", "    made_up,\n    moved,\n", 1).replace(
        "    gone.find,", "    made_up.find,\n    gone.find,"
    )
    (findings / "__init__.py").write_text(listed)
    case = "from test_findings import *\n\n\ndef test_it() -> None:\n" + (
        '    found = changes(Surface(calls=[M]), method(), method("self, b"))\n'
        '    assert "made-up" in [one.kind for one in found]\n'
        '    assert "made-up" not in [one.kind for one in changes(Surface(wraps=[M]), method(), method("self, b"))]\n'
    )
    (checkout / "tests" / "drift" / "test_made_up.py").write_text(case)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/drift/test_made_up.py",
        "-k",
        "test_it",
    ]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_every_folder_says_what_it_holds() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section("CONTRIBUTING.md", "Where things are"), re.MULTILINE))
    packages = {f"patchkit/{file.parent.name}" for file in (CHECKOUT / "patchkit").glob("*/__init__.py")}
    assert packages <= set(rows)
    for row, text in rows.items():
        folder = CHECKOUT / row.replace("NAME", "esamp")
        assert folder.is_dir(), row
        for name in re.findall(r"`(\w+)`", text) if row.startswith("patchkit/") else ():
            assert (folder / name).is_dir() or (folder / f"{name}.py").is_file(), f"{row} has no {name}"
