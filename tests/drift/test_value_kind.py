"""What kind of value an attribute holds, and a runtime that reads one whose kind changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_releases import inference_of
from toy_runtime import drift, runner, toy

from patchkit.drift.value_kind import value_kind

PARAMETERS = {
    'mode: Literal["a", "b"]': "str",
    'mode: Optional[Literal["a"]] = None': "str",
    'mode: "Alias"': "str",
    "mode: str | None": "str",
    "mode: Annotated[bool, Flagged]": "bool",
    "mode: Mode": "a member of Mode",
    "mode: Mode | None = None": "a member of Mode",
    "mode: Mode | str": "",
    "mode: Texts": "str",
    "mode: StrMode": "str",
    "mode: Numbers": "int",
    "*, mode: Mode": "a member of Mode",
    "other: Mode, *, mode='a'": "str",
    "mode=3": "int",
    "mode=None": "",
    "mode": "",
    "mode: Other": "",
    "other: Mode": "",
}
HOLDER = """
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal, Optional
Alias = Literal["a", "b"]
class Mode(Enum): A = "a"
class Texts(str, Enum): A = "a"
class StrMode(StrEnum): A = "a"
class Numbers(IntEnum): A = 1
class Other: ...
class Holder:
    def __init__(self, {}):
        self.mode = mode
"""


@pytest.mark.parametrize(("parameter", "kind"), PARAMETERS.items(), ids=PARAMETERS)
def test_an_attribute_is_what_the_parameter_is_that_it_is_set_to(parameter: str, kind: str) -> None:
    universe = inference_of({"vllm/__init__.py": "", "vllm/m.py": HOLDER.format(parameter)}).universe
    found = universe.find("vllm.m.Holder.mode")
    assert found is not None and value_kind(found, universe) == kind


def test_an_attribute_that_is_set_to_something_else_is_not_known() -> None:
    text = HOLDER.format("mode: Mode").replace("self.mode = mode", "self.mode = mode.value")
    universe = inference_of({"vllm/__init__.py": "", "vllm/m.py": text}).universe
    found = universe.find("vllm.m.Holder.mode")
    assert found is not None and value_kind(found, universe) == ""


READS = "from vllm.m import Holder\ndef ask(one: Holder): return {}\n"
COMPARED, EITHER = 'one.mode == "a"', 'getattr(one.mode, "value", one.mode) == "a"'
TEXT, MEMBER = HOLDER.format("mode: Alias"), HOLDER.format("mode: Mode")


def test_a_string_that_becomes_a_member_breaks_who_compares_it_and_so_does_the_way_back(tmp_path: Path) -> None:
    project = toy(tmp_path, READS.format(COMPARED), "reads: [vllm.m.Holder.mode]")
    there, back = drift(project, runner(m=TEXT), runner(m=MEMBER), runner(m=TEXT))
    for one, sentence in ((there, "holds a member of Mode, held str"), (back, "holds str, held a member of Mode")):
        (found,) = one.unpatched
        assert (found.kind, found.severity, found.guessed) == ("value-changed", "loud", "")
        assert found.sentence == f"{sentence}; rt/__init__.py:2 reads it as it was"


def test_who_takes_both_is_not_broken(tmp_path: Path) -> None:
    project = toy(tmp_path, READS.format(EITHER), "reads: [vllm.m.Holder.mode]")
    (result,) = drift(project, runner(m=TEXT), runner(m=MEMBER))
    assert [(one.kind, one.severity) for one in result.findings] == [("value-changed", "harmless")]


def test_a_read_that_was_not_seen_stays_open_and_guessed(tmp_path: Path) -> None:
    project = toy(tmp_path, READS.format("one.more"), "reads: [vllm.m.Holder.mode]")
    (result,) = drift(project, runner(m=TEXT), runner(m=MEMBER))
    (found,) = result.unpatched
    assert "whether the runtime takes `mode`" in found.guessed


def test_a_plain_value_of_another_kind_is_looked_at(tmp_path: Path) -> None:
    project = toy(tmp_path, READS.format(COMPARED), "reads: [vllm.m.Holder.mode]")
    (result,) = drift(project, runner(m=TEXT), runner(m=HOLDER.format("mode: bool")))
    assert [(one.kind, one.severity) for one in result.findings] == [("value-changed", "look")]
