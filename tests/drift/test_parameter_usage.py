"""A break that depends on how the runtime uses a parameter: said where its lines do, or were not read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_runtime import drift, toy

from patchkit.drift.contract import Contract, Parameter
from patchkit.drift.drift import Drift
from patchkit.drift.findings import Finding
from patchkit.drift.findings.finding import QUESTIONS, UsageCondition, Way
from patchkit.drift.parameter_usage import remaining_breaks, with_usage
from patchkit.drift.touch import CallShape, Touch

ENGINE = {
    "vllm/__init__.py": "",
    "vllm/engine.py": "class Engine:\n    def __init__({made}): ...\n    def ask({taken}): ...\n",
}


def engine(taken: str = "self, text", made: str = "self") -> dict[str, str]:
    return ENGINE | {"vllm/engine.py": ENGINE["vllm/engine.py"].format(taken=taken, made=made)}


def scanned(folder: Path, line: str, old: dict[str, str], new: dict[str, str], surface: str = "") -> Drift:
    code = f"from vllm.engine import Engine\ndef run(engine: Engine, ids, rest):\n    return {line}\n"
    (found,) = drift(toy(folder, code, surface or "calls: [vllm.engine.Engine.ask]"), old, new)
    return found


OPTIONAL = engine("self, text, ids=None")
GIVEN = {
    "gone, and given by name": ("engine.ask('a', ids=ids)", OPTIONAL, engine(), "parameter-removed"),
    "gone, and given by its place": ("engine.ask('a', ids)", OPTIONAL, engine(), "parameter-removed"),
    "renamed, and given by name": (
        "engine.ask('a', ids=ids)",
        OPTIONAL,
        engine("self, text, tokens=None"),
        "parameter-renamed",
    ),
    "by keyword only, and given by its place": (
        "engine.ask('a', ids)",
        OPTIONAL,
        engine("self, text, *, ids=None"),
        "parameter-keyword-only",
    ),
    "needed, and left out": ("engine.ask('a')", OPTIONAL, engine("self, text, ids"), "parameter-required"),
}


@pytest.mark.parametrize(("line", "old", "new", "kind"), GIVEN.values(), ids=GIVEN)
def test_a_line_that_breaks_is_said(
    tmp_path: Path, line: str, old: dict[str, str], new: dict[str, str], kind: str
) -> None:
    (found,) = scanned(tmp_path, line, old, new).unpatched
    assert (found.kind, found.severity, found.guessed) == (kind, "loud", "")
    assert "rt/__init__.py:3" in found.sentence


FITS = {
    "gone, and not given": ("engine.ask('a')", OPTIONAL, engine()),
    "renamed, and given by its place": ("engine.ask('a', ids)", OPTIONAL, engine("self, text, tokens=None")),
    "by keyword only, and given by name": ("engine.ask('a', ids=ids)", OPTIONAL, engine("self, text, *, ids=None")),
    "needed, and given": ("engine.ask('a', ids=ids)", OPTIONAL, engine("self, text, ids")),
}


@pytest.mark.parametrize(("line", "old", "new"), FITS.values(), ids=FITS)
def test_a_line_that_does_not_break_makes_it_harmless(
    tmp_path: Path, line: str, old: dict[str, str], new: dict[str, str]
) -> None:
    (found,) = scanned(tmp_path, line, old, new).findings
    assert (found.severity, found.guessed) == ("harmless", "")


@pytest.mark.parametrize("line", ["engine.ask('a', **rest)", "engine.ask(*rest)", "engine.nothing()"])
def test_what_a_line_does_not_show_stays_open_and_guessed(tmp_path: Path, line: str) -> None:
    (found,) = scanned(tmp_path, line, OPTIONAL, engine()).unpatched
    assert found.kind == "parameter-removed" and "whether the runtime gives `ids` was not read" in found.guessed


def test_a_constructor_that_needs_what_was_left_to_it(tmp_path: Path) -> None:
    old, new = engine(made="self, size, blocks=None"), engine(made="self, size, blocks")
    (found,) = scanned(tmp_path, "Engine(size=3)", old, new, "constructs: [vllm.engine.Engine]").unpatched
    assert found.kind == "parameter-required" and "leaves it out" in found.sentence


BASE = "class Base:\n    def run(self): self.step({given})\n    def step({taken}): ...\n"
CHILD = "from vllm.base import Base\nclass Child(Base):\n    def step({taken}): ...\n"


def family(given: str, taken: str) -> dict[str, str]:
    made = {"vllm/base.py": BASE.format(given=given, taken=taken), "vllm/child.py": CHILD.format(taken=taken)}
    return {"vllm/__init__.py": ""} | made


HOOK = "from vllm.child import Child\ndef step({}): return 1\ndef install(): Child.step = step\n"
OLD_STEP, NEW_STEP = "self, batch", "self, batch, stale=False"
REPLACES = "replaces: [vllm.child.Child.step]"


def hooked(folder: Path, takes: str, given: str) -> Drift:
    project = toy(folder, HOOK.format(takes), REPLACES)
    (found,) = drift(project, family("1", OLD_STEP), family(given, NEW_STEP))
    return found


def test_a_base_class_that_gives_one_more_is_read_unasked(tmp_path: Path) -> None:
    (found,) = hooked(tmp_path, OLD_STEP, "1, stale=True").unpatched
    assert "vLLM gives it at base.py:2" in found.sentence and found.guessed == ""


STEPS = {
    "by name, and not taken": (OLD_STEP, "1, stale=True", True),
    "by name, and taken by that name": (NEW_STEP, "1, stale=True", False),
    "by name, and all is taken": ("self, batch, **rest", "1, stale=True", False),
    "by its place, and not taken": (OLD_STEP, "1, True", True),
    "by its place, and taken by name alone": ("self, batch, *, stale=False", "1, True", True),
    "by its place, and taken under another name": ("self, batch, old=False", "1, True", False),
    "by its place, and all is taken": ("self, *all", "1, True", False),
    "with the rest, and not taken": (OLD_STEP, "1, **self.rest", True),
    "with the rest, and taken": (NEW_STEP, "1, **self.rest", False),
}


@pytest.mark.parametrize(("takes", "given", "breaks"), STEPS.values(), ids=STEPS)
def test_vllm_gives_what_it_always_could(tmp_path: Path, takes: str, given: str, breaks: bool) -> None:
    project = toy(tmp_path, HOOK.format(takes), REPLACES)
    (found,) = drift(project, family("1", NEW_STEP), family(given, NEW_STEP))
    (one,) = found.findings
    assert (one.kind, one.severity) == ("argument-given", "loud" if breaks else "harmless")
    assert bool(found.unpatched) is breaks and ("base.py:2" in one.sentence)
    assert bool(one.guessed) is (breaks and "rest" in given)


def test_what_vllm_gave_before_is_no_finding(tmp_path: Path) -> None:
    project = toy(tmp_path, HOOK.format(OLD_STEP), REPLACES)
    (found,) = drift(project, family("1, stale=False", NEW_STEP), family("1, stale=True", NEW_STEP))
    assert found.findings == ()


def test_a_call_that_was_not_seen_before_is_guessed(tmp_path: Path) -> None:
    project = toy(tmp_path, HOOK.format(OLD_STEP), REPLACES)
    unseen = {**family("1", NEW_STEP), "vllm/base.py": BASE.replace("self.step({given})", "...").format(taken=NEW_STEP)}
    (found,) = drift(project, unseen, family("1, stale=True", NEW_STEP))
    (one,) = found.unpatched
    assert (one.kind, one.guessed) == ("argument-given", "no call of it by vLLM was seen in the older release")


def test_a_replacement_that_takes_it_by_that_name_fits(tmp_path: Path) -> None:
    assert hooked(tmp_path, NEW_STEP, "1, stale=True").unpatched == []


def test_a_base_class_that_does_not_give_it_makes_it_harmless(tmp_path: Path) -> None:
    (found,) = hooked(tmp_path, OLD_STEP, "1").findings
    assert found.severity == "harmless"


def lone(taken: str, call: str = "") -> dict[str, str]:
    return {"vllm/__init__.py": "", "vllm/child.py": f"class Child:\n    def step({taken}): ...\n{call}"}


@pytest.mark.parametrize(
    ("call", "said"),
    [("", "no call of it by vLLM was seen"), ("def go(x): x.step(1, stale=True)\n", "the type of the object")],
)
def test_where_no_certain_call_was_seen_it_is_guessed_never_harmless(tmp_path: Path, call: str, said: str) -> None:
    project = toy(tmp_path, HOOK.format(OLD_STEP), REPLACES)
    (result,) = drift(project, lone(OLD_STEP), lone(NEW_STEP, call))
    (found,) = result.unpatched
    assert found.severity == "loud" and found.guessed.startswith(said)


@pytest.mark.parametrize("takes", [NEW_STEP, "self, batch, **named", "self, batch, *, stale=0"])
def test_a_replacement_that_takes_it_is_fine_whoever_calls(tmp_path: Path, takes: str) -> None:
    project = toy(tmp_path, HOOK.format(takes), REPLACES)
    (result,) = drift(project, lone(OLD_STEP), lone(NEW_STEP))
    assert result.unpatched == []


NAMES = st.sampled_from(["a", "b", "c"])
CALLS = st.builds(
    CallShape,
    st.integers(0, 4),
    st.lists(NAMES, unique=True).map(tuple),
    st.booleans(),
    st.booleans(),
    st.lists(NAMES, unique=True).map(tuple),
)
TOUCHES = st.builds(
    Touch,
    st.just("vllm.m.C.m"),
    st.sampled_from(["calls", "constructs", "wraps", "replaces", "reads"]),
    st.just("rt.py:1"),
    st.none() | CALLS,
    st.booleans(),
)
CONTRACTS = st.lists(NAMES, unique=True).map(
    lambda names: Contract("vllm.m.C.m", parameters=tuple(Parameter(one, "positional", "1", "") for one in names))
)


@given(st.sampled_from([*QUESTIONS]), NAMES, CONTRACTS, CONTRACTS, st.lists(TOUCHES, max_size=4))
def test_harmless_only_where_lines_were_read_and_all_of_them_show_it(
    way: Way, name: str, old: Contract, new: Contract, touches: list[Touch]
) -> None:
    finding = Finding("k", "loud", "vllm.m.C.m", "s", hinge=UsageCondition(way, name))
    found = with_usage(finding, old, new, touches)
    list(remaining_breaks(finding, old, new, touches))
    standing_in = {"wraps", "replaces"} if way in ("untaken", "misnamed", "unplaced") else {"calls", "constructs"}
    concerned = {"reads"} if way == "plain" else standing_in
    read = [touch for touch in touches if touch.manner in concerned]
    if not read or any(not touch.either if way == "plain" else touch.call is None for touch in read):
        assert found.severity == "loud"
    if found.severity == "harmless":
        assert read and not found.guessed
    assert with_usage(finding, old, new, [*touches, *touches]).severity == found.severity


CALLED_ENGINE = """
class Engine:
    def ask({takes}): ...


class Core:
    def __init__(self): self.engine = Engine()
    def go(self): self.engine.ask({given})
"""


def called_engine(takes: str, given: str = "1") -> dict[str, str]:
    return {"vllm/__init__.py": "", "vllm/engine.py": CALLED_ENGINE.format(takes=takes, given=given)}


def unpatched_of(folder: Path, line: str, old: str, new: str) -> list[Finding]:
    """What a runtime with this call of ``Engine.ask`` must know of two signatures of it."""
    code = f"from vllm.engine import Engine\n\ndef run(engine: Engine, ids):\n    {line}\n"
    (found,) = drift(toy(folder, code, "calls: [vllm.engine.Engine.ask]"), called_engine(old), called_engine(new))
    return found.unpatched


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("engine.ask('a', ids)", "self, text, ids=None", "self, text, fast=None, ids=None"),
        ("engine.ask('a', ids)", "self, text, ids, *, x=None", "self, ids, text, *, x=None"),
        ("engine.ask('a', ids)", "self, text, ids=None, n=1", "self, text, n=1, ids=None"),
    ],
)
def test_an_argument_that_lands_in_another_parameter_is_a_silent_break(
    tmp_path: Path, line: str, old: str, new: str
) -> None:
    assert [finding.severity for finding in unpatched_of(tmp_path, line, old, new)] == ["silent"]


@pytest.mark.parametrize("line", ["engine.ask('a', ids=ids)", "engine.ask('a')"])
def test_one_more_before_what_is_not_given_by_place_is_harmless(tmp_path: Path, line: str) -> None:
    assert unpatched_of(tmp_path, line, "self, text, ids=None", "self, text, fast=None, ids=None") == []


@pytest.mark.parametrize(
    ("takes", "breaks"), [("self, text", True), ("self, text, ids=None", False), ("self, *rest, **named", False)]
)
def test_what_must_be_given_now_is_given_to_a_hook_that_must_take_it(tmp_path: Path, takes: str, breaks: bool) -> None:
    code = f"from vllm.engine import Engine\n\ndef ask({takes}): return 1\n\ndef install(): Engine.ask = ask\n"
    old, new = called_engine("self, text, ids=None", "'a'"), called_engine("self, text, ids", "'a', ids=3")
    (found,) = drift(toy(tmp_path, code, "replaces: [vllm.engine.Engine.ask]"), old, new)
    assert [finding.kind for finding in found.unpatched] == (["parameter-required"] if breaks else [])
