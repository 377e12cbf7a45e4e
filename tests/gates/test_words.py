"""patchkit knows vLLM, a runtime its method: no word of ESamp's is in ``patchkit/`` or ``scenarios/``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = re.compile(
    r"(?<!r)esamp"
    r"|distill"
    r"|(?<!stats\.)\bbeta\b"
    r"|\bshallow\b"
    r"|[\"'`.]deep\b|\bdeep (tap|row|layer)"
    r"|model.?bank"
    r"|\bloss(es)?(\b|_)"
    r"|\bgold\b|\bdoctor",  # replaced everywhere by reference rows and fault injection
    re.IGNORECASE,
)
# Replaced by standard terms: reference, fault injection, session, worker client, fix, again, mutant.
REPLACED = re.compile(
    r"\b(gold|doctor\w*|sittings?|stations?|clerks?|mend\w*|anew|sabotage\w*|telling|told)\b", re.IGNORECASE
)
EXCUSED = {
    "tests/gates/test_words.py": "it has the words themselves",
    "patches/esamp/upstream": "the pinned runtime",
    "patches/esamp/0012-Run-in-every-process-that-vLLM-starts.patch": "a line of the pinned runtime, as context",
}
"""Files and folders that may hold any word, and why."""
TEXTS = {".py", ".md", ".yaml", ".yml", ".patch", ".toml", ".jinja", ".css", ".txt", ""}
"""Kinds of files that are written by hand, or made from such; records of runs stay as they were written."""


def tracked() -> list[str]:
    """Every file of the repository, or of the folder where that is not one."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    return listed or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]


def test_the_whole_repository_uses_the_standard_terms() -> None:
    used = []
    for name in tracked():
        path = ROOT / name
        excused = any(name == one or name.startswith(f"{one}/") for one in EXCUSED)
        if excused or path.suffix not in TEXTS or not path.is_file():
            continue
        lines = enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        used += [f"{name}:{at}: {line.strip()[:200]}" for at, line in lines if REPLACED.search(line)]
    assert not used, "\n".join(used)


@pytest.mark.parametrize("name", EXCUSED)
def test_what_is_excused_has_such_a_word(name: str) -> None:
    path = ROOT / name
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    assert any(REPLACED.search(one.read_text(encoding="utf-8", errors="replace")) for one in files)


def texts() -> list[Path]:
    """Every text that ships as patchkit's or as a shared scenario; locks name packages of others."""
    found = [path for folder in ("patchkit", "scenarios") for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts and path.parent.name != "locks"]


def test_no_word_of_a_runtime_is_in_what_every_runtime_shares() -> None:
    said = []
    for path in texts():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        said += [
            f"{path.relative_to(ROOT)}:{at}: {line.strip()}" for at, line in enumerate(lines, 1) if WORDS.search(line)
        ]
    assert not said, "\n".join(said)
    assert len(texts()) > 150, "there was something to look at"


@pytest.mark.parametrize(
    "line",
    [
        "class Esamp:",
        "the distiller's",
        "runtime: {beta: 0.8}",
        "view.deep[0]",
        '"shallow"',
        "model_bank_slots",
        "loss_last",
    ],
)
def test_each_word_would_be_found(line: str) -> None:
    assert WORDS.search(line)


@pytest.mark.parametrize(
    "line", ["stats.beta.ppf(1)", "resampled", "one heading deep", "DEEPEST = 4", "deep: bool", "what is lost"]
)
def test_what_only_looks_like_one_is_left_alone(line: str) -> None:
    assert not WORDS.search(line)
