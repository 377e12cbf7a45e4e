"""When upstream took a change in: a made-up runtime of four patches, and three releases of a made-up vLLM."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from local_index import HERE, Index, wheel_of
from made_up_releases import MadeUp

from patchkit.cli import commands
from patchkit.drift import scan
from patchkit.drift.drift import Drift, document
from patchkit.drift.patch_adoption import added_statements, upstreamed
from patchkit.drift.scan import Scanner
from patchkit.project import find_project
from patchkit.report.drift import markdown

HOOKS = """from vllm.engine.core import Core


def install():
    original = Core.step

    def step(self, budget):
        return original(self, budget)

    Core.step = step


# what lies between
# keeps the patches
# apart from
# each other


def sample(core: Core):
    ids, scores = core.sample()
    return ids, scores


# what lies between
# keeps the patches
# apart from
# each other


def norm(self, values):
    total = sum(values)
    return [value / total for value in values]


Core.norm = norm
LAST = 1
"""
STEP = "def step(self, budget):\n        return original(self, budget)"
PASSED_ON = "def step(self, *rest):\n        return original(self, *rest)"
SUM = "total = sum(values)\n"
GUARDED = f"{SUM}    if total == 0:\n        return [\n            0.0\n        ] * len(values)\n"
PATCHES = (  # subject, symbol, applies to, what is replaced, by what
    ("Pass on whatever step is called with", "Core.step", ">=0.19.0", STEP, PASSED_ON),
    ("Take scores first", "Core.sample", ">=0.19.0", "ids, scores = core", "scores, ids = core"),
    ("Divide by no zero", "Core.norm", "", SUM, GUARDED),
    ("Say two", "Core.other", "<0.20.0", "LAST = 1", "LAST = 2"),
)
MANIFEST = """name: toy
package: toy
upstream: {{path: upstream, tree: {tree}}}
developed_on: "0.18.0"
start: toy:install
surface:
  wraps: [vllm.engine.core.Core.step]
  replaces: [vllm.engine.core.Core.norm]
  calls: [vllm.engine.core.Core.sample]
  unpacks: [vllm.engine.core.Core.sample]
"""
MESSAGE = """{subject}

Why it is needed.

Drift: {number} (silent)
Symbol: vllm.engine.core.{symbol}
Applies-To: vllm {applies_to}
Symptom: none
Caught-By: gate: nothing
Forwarded: no
"""
CORE = """class Core:
    def step(self, {step}):
        return 1

    def sample(self):
        ids, scores = [], []
        return {sample}

    def norm(self, values):
        total = sum(values)
{norm}        return [value / total for value in values]


def run(core: Core):
    core.step({given})
    core.norm([1.0])
"""
GUARD = "        if total == 0:\n            return [0.0] * len(values)\n"
OLD = {"step": "budget", "given": "1", "sample": "ids, scores", "norm": ""}
MOVED = {"step": "budget, more", "given": "1, 2", "sample": "scores, ids", "norm": ""}
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=os.environ | GIT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the runtime."""
    root = tmp_path_factory.mktemp("project")
    (root / "scenarios").mkdir()
    folder = root / "patches" / "toy"
    (folder / "upstream" / "toy").mkdir(parents=True)
    (folder / "upstream" / "toy" / "__init__.py").write_text(HOOKS)
    work = shutil.copytree(folder / "upstream", tmp_path_factory.mktemp("work") / "toy")
    git(work, "init", "--quiet")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "upstream")
    (folder / "runtime.yaml").write_text(MANIFEST.format(tree=git(work, "rev-parse", "HEAD^{tree}")))
    path = work / "toy" / "__init__.py"
    for number, (subject, symbol, applies_to, before, after) in enumerate(PATCHES, 1):
        path.write_text(path.read_text().replace(before, after))
        message = MESSAGE.format(subject=subject, number=number, symbol=symbol, applies_to=applies_to)
        git(work, "commit", "--quiet", "-am", message.replace("vllm \n", "vllm\n"))
    words = ("--quiet", "--full-index", "--zero-commit", "--no-numbered", "-o", str(folder), "HEAD~4")
    git(work, "format-patch", *words)
    (folder / "series").write_text("".join(f"{path.name}\n" for path in sorted(folder.glob("*.patch"))))
    return root


@pytest.fixture
def scanner(root: Path, monkeypatch: pytest.MonkeyPatch) -> Scanner:
    monkeypatch.chdir(root)
    monkeypatch.setattr(scan, "source_of", lambda release: vllm(release, **OLD))
    return Scanner.of(find_project(), "toy")


def vllm(release: str, **parts: str) -> MadeUp:
    files = {"vllm/__init__.py": "", "vllm/engine/__init__.py": "", "vllm/engine/core.py": CORE.format(**parts)}
    return MadeUp(files, release)


def step(scanner: Scanner, old: dict[str, str], new: dict[str, str], releases: tuple[str, str]) -> Drift:
    (drift,) = scanner.drifts([vllm(releases[0], **old), vllm(releases[1], **new)])
    return drift


def signs(drift: Drift) -> dict[str, tuple[str, str | None]]:
    return {one.patch[:4]: (one.sign, one.narrowed) for one in drift.retired}


def test_while_the_patches_are_needed_nothing_is_said(scanner: Scanner) -> None:
    assert signs(step(scanner, OLD, MOVED, ("0.18.0", "0.19.0"))) == {}
    assert signs(step(scanner, MOVED, MOVED, ("0.19.0", "0.19.1"))) == {}


def test_the_code_fits_without_the_patch_again(scanner: Scanner) -> None:
    drift = step(scanner, MOVED, {**MOVED, "step": "budget", "given": "1"}, ("0.19.0", "0.19.1"))
    assert signs(drift) == {"0001": ("fits", "vllm >=0.19.0,<0.19.1")}


def test_values_come_again_as_the_pin_takes_them(scanner: Scanner) -> None:
    drift = step(scanner, MOVED, {**MOVED, "sample": OLD["sample"]}, ("0.19.0", "0.19.1"))
    assert signs(drift) == {"0002": ("back", "vllm >=0.19.0,<0.19.1")}
    assert drift.retired[0].because == "it returns again what it did in 0.18.0"


def test_what_the_patch_adds_stands_in_vllm(scanner: Scanner) -> None:
    drift = step(scanner, MOVED, {**MOVED, "norm": GUARD}, ("0.19.0", "0.19.1"))
    assert signs(drift) == {"0003": ("taken in", "vllm <0.19.1")}
    assert drift.retired[0].because == "2 of 2 statements of what the patch adds stand in it now"


def test_half_of_it_or_another_move_is_no_sign(scanner: Scanner) -> None:
    half = {**MOVED, "norm": "        if total == 0:\n            return None\n"}
    assert signs(step(scanner, MOVED, half, ("0.19.0", "0.19.1"))) == {}
    third = {**MOVED, "step": "budget, more, most", "given": "1, 2, 3"}
    assert signs(step(scanner, MOVED, third, ("0.19.0", "0.19.1"))) == {}


def test_a_header_that_ends_is_held_against_the_sources(scanner: Scanner) -> None:
    """Nothing shows why, for its symbol is on no surface: that is said, and is no alarm."""
    drift = step(scanner, MOVED, MOVED, ("0.19.0", "0.20.0"))
    assert signs(drift) == {"0004": ("none", None)}


def test_every_form_says_it_and_how_the_header_should_change(scanner: Scanner) -> None:
    drift = step(scanner, MOVED, {**MOVED, "norm": GUARD}, ("0.19.0", "0.20.0"))
    said = markdown.render([drift]).replace("\\", "")
    assert "vLLM 0.20.0 seems not to need 0003-Divide-by-no-zero: Core.norm: 2 of 2 statements" in said
    assert "`Applies-To: vllm` takes it still: narrow it to `vllm <0.20.0`" in said
    assert "`patchkit knockout --runtime toy --vllm 0.20.0` proves it" in said
    assert "Applies-To of 0004 ends before this release" in said
    assert [one["sign"] for one in document([drift])[0]["retired"]] == ["taken in", "none"]


def test_the_command_line_tells_in_which_release(index: Index, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    for release, parts in (("0.18.0", OLD), ("0.19.0", MOVED), ("0.19.1", {**MOVED, "norm": GUARD}), ("0.20.0", OLD)):
        index.add(f"vllm-{release}-cp38-abi3-{HERE}.whl", wheel_of(vllm(release, **parts).files, padding=0))
    result = CliRunner().invoke(commands, ["drift", "--runtime", "toy", "--since", "0.18.0"], standalone_mode=False)
    assert result.exception is None, result.output
    release, shown_in = "", {}
    for line in result.stdout.splitlines():
        release = line.split()[0] if line[:1].isdigit() else release
        if "seems not to need" in line:
            shown_in[line.split(" need ")[1][:4]] = release
    assert shown_in == {"0001": "0.20.0", "0002": "0.20.0", "0003": "0.19.1"}


def test_statements_are_read_whole_from_real_patches() -> None:
    scanner = Scanner.of(find_project(), "esamp")
    found = {patch.number: added_statements(patch) for patch in scanner.series.patches}
    assert all(found.values())
    for text in (text for several in found.values() for text in several):
        ast.parse(text)
        assert not text.startswith(("import ", "from ", "def "))


class Line:
    is_removed = False

    def __init__(self, value: str, is_added: bool) -> None:
        self.value, self.is_added = value, is_added


class Patched:
    def __init__(self, text: str) -> None:
        self.patch_set = [[[Line(line, True) for line in text.splitlines(keepends=True)]]]


@given(st.text("abc(){}[]:=,.'\"\\#\n \t", max_size=80))
def test_no_text_of_a_patch_stops_the_reading(text: str) -> None:
    from patchkit.drift.contract import Contract

    added = added_statements(Patched(text))  # type: ignore[arg-type]
    assert all(isinstance(one, str) and one for one in added)
    assert upstreamed(Patched(text), Contract("x"), Contract("x")) == ""  # type: ignore[arg-type]
