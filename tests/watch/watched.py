"""A project with a made-up runtime, an index with made-up releases of vLLM, and an interpreter that only plays vLLM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from local_index import HERE, Index, wheel_of

from patchkit.cli import commands

FAKE_WORKER = Path(__file__).parent.parent / "gates" / "fake_worker.py"
CORE = "class Core:\n    def step(self{parameters}):\n        token_ids, scores = [], []\n        return {returned}\n"
CALLER = "from vllm.engine.core import Core\n\n\ndef run(core: Core):\n    return core.step()\n"
HOOKS = """from vllm.engine.core import Core

UNUSED_1 = 1


# what lies between keeps the patches apart
# and
# so
# does
# this

UNUSED_2 = 1


def install():
    original = Core.step

    def step(self):
        token_ids, scores = original(self)
        return token_ids, scores

    Core.step = step
"""
MANIFEST = """# A runtime that is made up.
name: toy
package: toy
upstream: {{path: upstream, tree: {tree}}}
developed_on: "0.18.0"
start: toy:install
counters:
  hits: {{must_be: positive, means: steps in which it was called}}
surface:
  wraps: [vllm.engine.core.Core.step]
  unpacks: [vllm.engine.core.Core.step]
"""
PROVEN = """pin: {tree}
proofs:
- {{release: 0.18.0, runner: v1, device: cpu, gates: 1, patches: [1, 2], tree: "", date: "2026-01-01", evidence: a}}
- {{release: 0.19.0, runner: v1, device: cpu, gates: 1, patches: [1, 2], tree: "", date: "2026-02-01", evidence: b}}
"""
MESSAGE = """Fix unused {number}

Why it is needed.

Drift: {number} (loud)
Symbol: vllm.engine.core.Core.other_{number}
Applies-To: {applies_to}
Symptom: none
Caught-By: gate: nothing
{more}Forwarded: no
"""
SCENARIO = """name: {name}
title: Made up
guards: nothing
timeout: 8
parts:
  - name: p
    model: {model}
    engine: {{act: {act}}}
    calls: [{{groups: [{{prompts: {{kind: random, count: 1, tokens: 4}}, max_tokens: 4}}]}}]
    invariants: [alive]
"""
PYTHON = """#!/bin/sh
[ "$1" != -c ] || {{ echo '{{"vllm": "0.20.0", "folder": "/nowhere/vllm", "python": "3.11.7"}}'; exit; }}
exec {python} {worker}
"""
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | GIT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_runtime(folder: Path) -> Path:
    """``patches/toy``: the second patch needs the first, which vLLM 0.21 does not take."""
    upstream = folder / "upstream" / "toy"
    upstream.mkdir(parents=True)
    (upstream / "__init__.py").write_text(HOOKS)
    work = shutil.copytree(upstream.parent, folder.parent / "work")
    git(work, "init", "--quiet")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "upstream")
    tree = git(work, "rev-parse", "HEAD^{tree}")
    (folder / "runtime.yaml").write_text(MANIFEST.format(tree=tree))
    (folder / "proven.yaml").write_text(PROVEN.format(tree=tree))
    for number, applies_to, more in ((1, "vllm <0.21", ""), (2, "vllm", "Depends: 0001-Fix-unused-1\n")):
        path = work / "toy" / "__init__.py"
        path.write_text(path.read_text().replace(f"UNUSED_{number} = 1", f"UNUSED_{number} = 2"))
        git(work, "commit", "--quiet", "-am", MESSAGE.format(number=number, applies_to=applies_to, more=more))
    git(work, "format-patch", "--quiet", "--full-index", "--zero-commit", "--no-numbered", "-o", str(folder), "HEAD~2")
    names = sorted(path.name for path in folder.glob("*.patch"))
    (folder / "series").write_text("".join(f"{name}\n" for name in names))
    return folder


class Watched:
    """What the tests hold on to."""

    def __init__(self, root: Path, index: Index) -> None:
        self.root, self.index = root, index
        self.out = root / ".patchkit" / "watch"
        self.python = root.parent / "python"
        self.python.write_text(PYTHON.format(python=sys.executable, worker=FAKE_WORKER))
        self.python.chmod(0o755)
        model = root.parent / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        self.scenario("gate")
        self.release("0.19.0")

    def release(
        self, number: str, returned: str = "token_ids, scores", parameters: str = "", name: str = "", **facts: Any
    ) -> None:
        """Publish a made-up vLLM."""
        modules = {
            "vllm/__init__.py": "",
            "vllm/engine/__init__.py": "",
            "vllm/engine/core.py": CORE.format(returned=returned, parameters=parameters),
            "vllm/engine/caller.py": CALLER,
        }
        self.index.add(f"vllm-{number}-cp38-abi3-{HERE}.whl", wheel_of(modules, padding=0), **facts)

    def scenario(self, name: str, act: str = "good") -> None:
        text = SCENARIO.format(name=name, act=act, model=self.root.parent / "model")
        (self.root / "scenarios" / f"{name}.yaml").write_text(text)

    def watch(self, *arguments: str) -> Result:
        """One tick, in this process."""
        return CliRunner().invoke(commands, ["watch", "--runtime", "toy", *arguments], standalone_mode=False)

    def gated(self, *arguments: str) -> Result:
        """One tick, with the interpreter that plays vLLM 0.20.0."""
        return self.watch("--python", str(self.python), *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One tick in a process of its own."""
        words = [sys.executable, "-m", "patchkit", "watch", "--runtime", "toy", *arguments]
        return subprocess.Popen(words, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "report.json").read_text())
        return found

    @property
    def markdown(self) -> str:
        return (self.out / "report.md").read_text()

    @property
    def proven(self) -> str:
        return (self.root / "patches" / "toy" / "proven.yaml").read_text()
