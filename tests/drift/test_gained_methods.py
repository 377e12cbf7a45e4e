"""A base class gains a method that the runtime's own class already has."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runtime import drift, runner, toy

BASE = "class Root:\n    def go(self): {called}\nclass C(Root):\n    def a(self): ...\n"
GAINS = BASE + "    def b(self, x): ...\n"
OWN = "from vllm.m import C\nclass D(C):\n    def b({takes}): {does}\n"

CASES = {
    "vLLM calls it": ("self, x", "return 1", "self.b(1)", "silent"),
    "vLLM calls it, and it does not take what is given": ("self", "return 1", "self.b(1)", "loud"),
    "no call of it was seen": ("self, x", "return 1", "...", "look"),
    "it hands on to the base class's": ("self, x", "return super().b(x)", "self.b(1)", ""),
}


@pytest.mark.parametrize(("takes", "does", "called", "severity"), CASES.values(), ids=CASES)
def test_a_method_that_the_base_class_has_now_as_well(
    tmp_path: Path, takes: str, does: str, called: str, severity: str
) -> None:
    project = toy(tmp_path, OWN.format(takes=takes, does=does), "derives: [vllm.m.C]")
    (result,) = drift(project, runner(m=BASE.format(called="...")), runner(m=GAINS.format(called=called)))
    assert [(one.kind, one.severity) for one in result.findings] == ([("method-gained", severity)] if severity else [])
    assert all("rt/__init__.py:3 already has a method" in one.sentence for one in result.findings)
    assert len(result.unpatched) == (severity in ("silent", "loud"))


def test_a_method_that_only_the_base_class_has_is_none_of_the_runtimes(tmp_path: Path) -> None:
    project = toy(tmp_path, "from vllm.m import C\nclass D(C): ...\n", "derives: [vllm.m.C]")
    (result,) = drift(project, runner(m=BASE.format(called="...")), runner(m=GAINS.format(called="self.b(1)")))
    assert result.findings == ()


def test_a_base_class_that_is_new_altogether_has_gained_nothing(tmp_path: Path) -> None:
    project = toy(tmp_path, OWN.format(takes="self, x", does="return 1"), "derives: [vllm.m.C]")
    (result,) = drift(project, runner(m=""), runner(m=GAINS.format(called="self.b(1)")))
    assert result.findings == ()
