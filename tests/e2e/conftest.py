"""Real vLLM 0.20.0 on the CPU, through the command line, in a state folder of the tests' own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.project import find_project
from patchkit.series import Series

RELEASE = "0.20.0"
CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = find_project(CHECKOUT)
PATCHES = [one.patch for one in Series.load(PROJECT.patches / "esamp").for_release(RELEASE) if one.taken]
TAKEN = [patch.name for patch in PATCHES]
NAMED = {gate for patch in PATCHES for gate, _ in patch.caught_by}
GATES = [gate.name for gate in select(load_scenarios(PROJECT, "esamp"), release=RELEASE)]

Patchkit = Callable[..., "subprocess.CompletedProcess[str]"]

FIRST = ("test_gated", "test_set_up", "test_knockout")
"""Files that start first: one builds the environment while the other needs none; and the longest must not be last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder ``e2e``, and put them last, in order; pytest passes the items of all folders."""
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in ours:
        item.add_marker("e2e")
        items.remove(item)
    items += sorted(ours, key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


@pytest.fixture(scope="session", autouse=True)
def cores() -> Iterator[None]:
    """Where xdist runs several processes: this one's share of the cores, for it and whatever it starts.

    No engine then waits for one of another process, and patchkit runs as many at a time as there are cores for.
    """
    before = os.sched_getaffinity(0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = sorted(before)[number % count :: count]
    os.sched_setaffinity(0, share or before)
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="session")
def patchkit() -> Patchkit:
    """Runs ``patchkit`` as a user does, in the checkout; returns the finished process."""

    def run(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "patchkit", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"})

    return run
