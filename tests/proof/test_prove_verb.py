"""``patchkit prove``, by its command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import in_this_process
import pytest

CHECKOUT = Path(__file__).parents[2]
EVIDENCE = "gate-0.20.0-cpu.json"
README = "# A project\n\n<!-- made by `patchkit prove`; do not edit -->\n<!-- end of what `patchkit prove` made -->\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with ESamp, its scenarios, one file of evidence, and a README with the marks."""
    for name in ("patches", "scenarios"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    (tmp_path / "patches" / "esamp" / "proven.yaml").unlink()
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def prove(project: Path, *arguments: str) -> CompletedProcess[str]:
    return in_this_process.run("prove", *arguments, cwd=project)


def test_evidence_becomes_the_table_the_readme_and_the_matrix(project: Path) -> None:
    nothing = prove(project)
    assert nothing.returncode == 2 and "there is no evidence in" in nothing.stderr
    (project / "evidence").mkdir()
    shutil.copy(CHECKOUT / "evidence" / EVIDENCE, project / "evidence")
    stale = prove(project, "--check")
    assert stale.returncode == 1
    assert "patches/esamp/proven.yaml is not what the evidence gives; run `patchkit prove`" in stale.stdout
    done = prove(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "wrote patches/esamp/proven.yaml",
        "wrote README.md",
        "esamp is proven on 1 release of vLLM, by 1 run",
    ]
    assert "| 0.20.0 | 1 to 8 | ✓ 12 of 12 | unknown | unknown | unknown |" in (project / "README.md").read_text()
    assert (prove(project, "--check").returncode, prove(project).stdout.count("wrote")) == (0, 0)
    assert json.loads(prove(project, "--matrix").stdout) == [{"release": "0.20.0", "runner": "v1"}]


def test_a_file_that_is_not_evidence_is_one_line(project: Path) -> None:
    (project / "gate-x.json").write_text("{}")
    done = prove(project, "gate-x.json")
    assert (done.returncode, done.stderr.count("\n")) == (
        2,
        1,
    ) and "gate-x.json is not patchkit's evidence" in done.stderr
    assert not (project / "patches" / "esamp" / "proven.yaml").exists()
