"""A runtime without patches in a project of its own, scanned between two made-up releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from made_up_releases import MadeUp

from patchkit.drift.drift import Drift
from patchkit.drift.scan import Scanner
from patchkit.project import Project
from patchkit.series.pin import tree_hash, upstream_blobs

MANIFEST = """
name: rt
package: rt
upstream: {{path: upstream, tree: {tree}}}
developed_on: "1.0"
start: rt:install
surface:
{surface}
"""
RUNNER = """
class Runner:
    def run(self, batch): return self.step({given})
    def step({taken}): return batch
    def finish(self, batch): return batch
"""


def runner(given: str = "batch", taken: str = "self, batch", **more: str) -> dict[str, str]:
    """A release whose ``Runner.step`` takes and is given this."""
    made = {"vllm/__init__.py": "", "vllm/runner.py": RUNNER.format(given=given, taken=taken)}
    return made | {f"vllm/{name}.py": text for name, text in more.items()}


def toy(folder: Path, code: str, surface: str) -> Project:
    """A project with one runtime, ``rt``, of one file."""
    home = folder / "patches" / "rt"
    (home / "upstream" / "rt").mkdir(parents=True)
    (folder / "scenarios").mkdir()
    (home / "upstream" / "rt" / "__init__.py").write_text(dedent(code))
    (home / "series").write_text("")
    tree = tree_hash(upstream_blobs(home / "upstream"))
    lines = "\n".join(f"  {line}" for line in dedent(surface).strip().splitlines())
    (home / "runtime.yaml").write_text(MANIFEST.format(tree=tree, surface=lines))
    return Project(folder, folder / ".patchkit")


def drift(project: Project, *releases: Mapping[str, str]) -> list[Drift]:
    sources = [MadeUp(files, f"{at + 1}.0") for at, files in enumerate(releases)]
    return list(Scanner.of(project, "rt").drifts(sources))
