"""Words for what was missing of a surface: classes constructed and derived from, attributes set, source text."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_findings import changes
from toy_runtime import drift, runner, toy

from patchkit.series.manifest import Surface

C = "vllm.m.C"
PLAIN = "class C:\n    def __init__(self, a, {}b=1): ...\n"
DATA = "import dataclasses\n@dataclasses.dataclass\nclass C:\n    a: int\n    {}b: int = 1\n"
STRUCT = "import msgspec\nclass Base(msgspec.Struct):\n    a: int\nclass C(Base):\n    {}b: int = 1\n"
MODEL = "from pydantic import BaseModel\nclass C(BaseModel):\n    a: int\n    {}b: int = 1\n"
INHERITED = "class Base:\n    def __init__(self, a, {}b=1): ...\nclass C(Base): ...\n"


@pytest.mark.parametrize(
    ("form", "put"),
    [
        *((form, "more, ") for form in (PLAIN, INHERITED)),
        *((form, "more: int\n    ") for form in (DATA, STRUCT, MODEL)),
    ],
)
def test_a_constructor_that_wants_more_is_loud(form: str, put: str) -> None:
    (found, *rest) = changes(Surface(constructs=[C]), form.format(""), form.format(put))
    assert (found.kind, found.severity, rest) == ("parameter-added", "loud", [])


def test_fields_that_no_constructor_takes_do_not_count() -> None:
    more = "import typing\n" + DATA.format(
        "x: typing.ClassVar[int] = 3\n    y: int = dataclasses.field(init=False)\n    "
    )
    assert changes(Surface(constructs=[C]), DATA.format(""), more) == []


def test_a_field_by_keyword_takes_no_place_among_the_others() -> None:
    head = "from dataclasses import dataclass, field\n"
    old = head + "@dataclass\nclass B:\n    a: int\n@dataclass\nclass C(B):\n    b: int\n"
    new = old.replace("    a: int\n", "    a: int\n    more: int = field(default=1, kw_only=True)\n")
    (found,) = changes(Surface(constructs=[C]), old, new)
    assert (found.kind, found.severity) == ("parameter-added", "harmless")


def test_a_call_of_a_class_is_held_against_its_new_constructor(tmp_path: Path) -> None:
    old, new = runner(m=DATA.format("")), runner(m=DATA.format("more: int\n    "))
    code = "from vllm.m import C\ndef make(): return C({})\n"
    (result,) = drift(toy(tmp_path / "a", code.format("1, more=2"), "constructs: [vllm.m.C]"), old, new)
    assert result.breaks[0].fixed_by == ("upstream",)
    (result,) = drift(toy(tmp_path / "b", code.format("1"), "constructs: [vllm.m.C]"), old, new)
    assert result.unpatched[0].because == "rt/__init__.py:2 does not give `more`"


BASE = "from abc import abstractmethod\nclass C:\n    @abstractmethod\n    def a(self): ...\n"
ASKS = BASE + "    @abstractmethod\n    def b(self): ...\n"


def test_a_base_class_that_asks_for_another_method_is_loud_until_it_is_there(tmp_path: Path) -> None:
    code = "from vllm.m import C\nclass D(C):\n    def a(self): ...\n"
    (result,) = drift(toy(tmp_path / "a", code, "derives: [vllm.m.C]"), runner(m=BASE), runner(m=ASKS))
    assert result.unpatched[0].because == "nothing that was read defines `b`"
    code += "    def b(self): ...\n"
    (result,) = drift(toy(tmp_path / "b", code, "derives: [vllm.m.C]"), runner(m=BASE), runner(m=ASKS))
    assert result.unpatched == []


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        ("class C:\n    @property\n    def x(self): return 1\n", {"kind-changed", "read-only"}),
        (
            "class C:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, v): ...\n",
            {"kind-changed"},
        ),
        ("@dataclass(frozen=True)\nclass C:\n    x: int = 1\n", {"read-only"}),
        ("class C:\n    y: int = 1\n", {"field-gone"}),
    ],
)
def test_an_attribute_that_can_no_longer_be_set(new: str, kinds: set[str]) -> None:
    found = changes(Surface(writes=["vllm.m.C.x"]), "@dataclass\nclass C:\n    x: int = 1\n", new)
    assert {one.kind for one in found} == kinds
    assert all(one.severity == "loud" for one in found if one.kind != "kind-changed")


TEXT = "def f(a):\n    if a:\n        return 1\n    return 2\n\ndef g(a):\n    return 1\n"


@pytest.mark.parametrize(
    ("symbol", "anchor", "new", "said"),
    [
        ("vllm.m.f", "return 1", TEXT, ""),
        ("vllm.m.f", "return 1", TEXT.replace("        return 1", "        return 3"), "stands nowhere in it"),
        ("vllm.m.f", "return 1", TEXT.replace("return 2", "return 1"), "stands 2 times in it"),
        ("vllm.m", "return 1", TEXT, "stands 2 times in it"),
        ("vllm.m", "def g(a):\n", TEXT, ""),
    ],
)
def test_an_anchor_must_stand_exactly_once(symbol: str, anchor: str, new: str, said: str) -> None:
    found = [one for one in changes(Surface(text={symbol: [anchor]}), TEXT, new) if one.kind == "text-moved"]
    assert bool(found) is bool(said)
    assert not said or (said in found[0].sentence and found[0].severity == "loud")
