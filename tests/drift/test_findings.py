"""Every kind of finding, on a made-up release before and after; and what is none."""

from __future__ import annotations

import pytest
from made_up_releases import MadeUp

from patchkit.drift.compare import compare
from patchkit.drift.findings import Finding
from patchkit.drift.package import Package
from patchkit.drift.reading import read
from patchkit.series.manifest import Surface

M = "vllm.m.C.m"


def changes(surface: Surface, old: str, new: str, **files: str) -> list[Finding]:
    before = MadeUp({"vllm/__init__.py": "", "vllm/m.py": old}, "1.0")
    after = MadeUp({"vllm/__init__.py": "", "vllm/m.py": new, **{f"vllm/{k}.py": v for k, v in files.items()}}, "1.1")
    reading = read(surface, Package(before, "vllm"))
    return compare(surface, reading, read(surface, Package(after, "vllm"), reading))


def method(signature: str = "self, a", body: str = "return a", before: str = "") -> str:
    return f"class C:\n{before}    def m({signature}):\n        {body}\n"


CASES = {
    "gone": ("wraps", method(), "class C: ...", ("gone", "loud")),
    "renamed": ("calls", method(), method().replace("m(", "n("), ("renamed", "loud")),
    "static and wrapped": ("wraps", method(), method("a", before="    @staticmethod\n"), ("kind-changed", "loud")),
    "static and called": ("calls", method(), method("a", before="    @staticmethod\n"), ("kind-changed", "harmless")),
    "needed one more": ("wraps", method(), method("self, a, b"), ("parameter-added", "loud")),
    "may have one more": ("calls", method(), method("self, a, b=1"), ("parameter-added", "harmless")),
    "put before": ("calls", method(), method("self, b=1, a=2"), ("parameter-added", "silent")),
    "one less": ("wraps", method("self, a, b"), method(), ("parameter-removed", "loud")),
    "one less that may be given": ("calls", method("self, a, b=1"), method(), ("parameter-removed", "loud")),
    "one that must be given now": (
        "calls",
        method("self, a=1", "return 1"),
        method("self, a", "return 1"),
        ("parameter-required", "loud"),
    ),
    "one that must be given to what is hooked": (
        "wraps",
        method("self, a=1", "return 1"),
        method("self, a", "return 1"),
        ("parameter-required", "loud"),
    ),
    "hooked, one more, and no caller seen": ("wraps", method(), method("self, a, b=1"), ("parameter-added", "loud")),
    "renamed one": (
        "wraps",
        method("self, a: int", "return"),
        method("self, z: int", "return"),
        ("parameter-renamed", "loud"),
    ),
    "another order": ("calls", method("self, a, b"), method("self, b, a"), ("parameters-reordered", "silent")),
    "by keyword": ("calls", method(), method("self, *, a"), ("parameter-keyword-only", "loud")),
    "items with fewer values": (
        "unpacks",
        method(body="return a").replace("):\n        ret", ") -> list[tuple[str, int]]:\n        ret"),
        method(body="return a").replace("):\n        ret", ") -> list[Request]:\n        ret"),
        ("annotation-changed", "loud"),
    ),
    "other items of one kind": (
        "unpacks",
        method(body="return a").replace("):\n        ret", ") -> list[tuple[str, int]]:\n        ret"),
        method(body="return a").replace("):\n        ret", ") -> list[tuple[str, Request]]:\n        ret"),
        ("annotation-changed", "look"),
    ),
    "more values": (
        "unpacks",
        method(body="return a, b"),
        method(body="return a, b, c"),
        ("returns-changed", "silent"),
    ),
    "other order": ("unpacks", method(body="return a, b"), method(body="return b, a"), ("returns-changed", "silent")),
    "now a tuple": ("calls", method(), method(body="return a, None"), ("returns-changed", "loud")),
    "own value, now a tuple": ("replaces", method(), method(body="return a, None"), ("returns-changed", "loud")),
    "handed on": ("wraps", method(), method(body="return None"), ("returns-changed", "harmless")),
    "only inside": ("wraps", method(), method(body="log(a); return a"), ("body-changed", "look")),
}


@pytest.mark.parametrize(("manner", "old", "new", "said"), CASES.values(), ids=CASES)
def test_a_method_that_moved(manner: str, old: str, new: str, said: tuple[str, str]) -> None:
    found = changes(Surface(**{manner: [M]}), old, new)
    assert [(one.kind, one.severity) for one in found] == [said]
    assert found[0].old.startswith("m.py:") and found[0].sentence


@pytest.mark.parametrize("manner", ["wraps", "replaces", "calls", "unpacks", "reads"])
def test_nothing_moves_when_nothing_that_matters_does(manner: str) -> None:
    old = "# one\n" + method("self, a: Optional[int]", "return a, b")
    new = "import os\n\n" + method("self, a: int | None", "return (a,\n          b)  # as before")
    assert changes(Surface(**{manner: [M]}), old, new) == []


def test_a_method_that_is_inherited_now_is_out_of_reach_of_a_hook_only() -> None:
    old, new = method(), "from vllm.n import B\nclass C(B): ...\n"
    n = method().replace("class C", "class B")
    (hooked,) = changes(Surface(wraps=[M]), old, new, n=n)
    (called,) = changes(Surface(calls=[M]), old, new, n=n)
    assert (hooked.kind, hooked.severity, called.kind, called.severity) == ("moved", "loud", "moved", "harmless")


def test_a_class_that_moved_and_left_no_name_behind() -> None:
    (found,) = changes(Surface(wraps=[M]), method(), "", n=method())
    assert (found.kind, found.severity) == ("moved", "loud")
    assert "vllm.n.C.m" in found.sentence


@pytest.mark.parametrize(("new", "severity", "fixed"), [("None", "silent", True), ("True", "silent", False)])
def test_a_default_is_a_break_unless_the_runtime_is_known_to_work_under_it(
    new: str, severity: str, fixed: bool
) -> None:
    surface = Surface(settings={"vllm.m.C.x": ["False", "None"]})
    (found,) = changes(surface, "class C:\n    x: bool = False\n", f"class C:\n    x: bool = {new}\n")
    assert (found.kind, found.severity, bool(found.fixed_by)) == ("setting-changed", severity, fixed)


def test_a_setting_that_other_code_settles_is_worth_a_look() -> None:
    old = "class C:\n    x: bool = False\nclass D:\n    c: C\n    def post(self):\n        if a: self.c.x = True\n"
    surface = Surface(settings={"vllm.m.C.x": ["False"]})
    (found,) = changes(surface, old, old.replace("if a", "if a and b"))
    assert (found.kind, found.severity) == ("setting-changed", "look")


def test_an_attribute_that_is_gone() -> None:
    (found,) = changes(
        Surface(reads=["vllm.m.C.x"]), "class C:\n    def __init__(self): self.x = 1\n", "class C: ...\n"
    )
    assert (found.kind, found.severity) == ("field-gone", "loud")


def test_something_set_inside_that_must_stay() -> None:
    (found,) = changes(Surface(keeps={M: ["a.id"]}), method(), method(body="a.id = 1; return a"))
    assert (found.kind, found.severity, found.new) == ("side-effect-added", "silent", "m.py:3")


def test_a_hooked_method_that_nothing_calls_any_more() -> None:
    old = method() + "    def run(self): return self.m(1)\n"
    (found, *rest) = changes(Surface(wraps=[M]), old, old.replace("self.m(1)", "self.n(1)"))
    assert (found.kind, found.severity, rest) == ("uncalled", "silent", [])


def test_a_subclass_beside_it_that_has_its_own() -> None:
    files = {"vllm/__init__.py": "", "vllm/gpu_runner.py": method()}
    surface = Surface(wraps=["vllm.gpu_runner.C.m"])
    own = "from vllm.gpu_runner import C\nclass D(C):\n    def m(self, a): ...\n"
    before, after = ({**files, "vllm/cpu_runner.py": text} for text in (own.replace("def m", "def other"), own))
    old = read(surface, Package(MadeUp(before), "vllm"))
    (found,) = compare(surface, old, read(surface, Package(MadeUp(after), "vllm"), old))
    assert (found.kind, found.severity) == ("overridden", "silent")
    assert "vllm.cpu_runner.D" in found.sentence


def test_an_optional_parameter_breaks_a_hook_once_vllm_gives_it() -> None:
    caller = "    def run(self): return self.m({})\n"
    new = method("self, a, b=1")
    (kept,) = changes(Surface(wraps=[M]), method() + caller.format("1"), new + caller.format("1"))
    (given,) = changes(Surface(wraps=[M]), method() + caller.format("1"), new + caller.format("1, b=2"))
    assert (kept.severity, given.severity) == ("harmless", "loud")
