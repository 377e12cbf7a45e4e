"""What a symbol promises, read off made-up sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_releases import inference_of

from patchkit.drift.contract import Contract
from patchkit.drift.contract_reading import contract_of
from patchkit.drift.effects import effects_of
from patchkit.errors import PatchkitError


def contract(code: str, symbol: str = "f", **more: str) -> Contract:
    files = {"vllm/__init__.py": "", "vllm/m.py": code, **{f"vllm/{name}.py": text for name, text in more.items()}}
    return contract_of(f"vllm.m.{symbol}", inference_of(files))


def returned(code: str) -> list[str]:
    return [str(one) for one in contract(code).returns]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return a, self.b, c(), d[0]", ["(a, b, c, …)"]),
        ("return a", ["a"]),
        ("return", ["None"]),
        ("pass", ["None"]),
        ("return None if x else y", ["…"]),
        ("if x: return a, b\n    return None", ["(a, b)", "None"]),
        ("def inner(): return 1, 2\n    return inner", ["inner"]),
        ("yield 1", []),
        ("return (a,)", ["(a)"]),
    ],
)
def test_the_shapes_of_what_is_returned(body: str, said: list[str]) -> None:
    assert returned(f"def f(x):\n    {body}\n") == said


def test_what_is_handed_on_is_followed_to_where_it_is_made() -> None:
    code = "def f():\n    return g()\ndef g():\n    return h()\ndef h():\n    return 1, 2\n"
    assert returned(code) == ["(…, …)"]


def test_what_an_unknown_function_returns_is_not_known() -> None:
    assert [one.known for one in contract("def f():\n    return torch.ops.x()\n").returns] == [False]


def test_a_circle_of_calls_ends() -> None:
    assert len(contract("def f():\n    return g()\ndef g():\n    return f()\n").returns) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Optional[int]", "int | None"),
        ("typing.Union[int, None]", "int | None"),
        ("'Optional[List[str]]'", "list[str] | None"),
        ("tuple['A', Dict[str, int]]", "tuple[A, dict[str, int]]"),
    ],
)
def test_annotations_have_one_spelling(old: str, new: str) -> None:
    assert contract(f"def f() -> {old}: ...").annotation == contract(f"def f() -> {new}: ...").annotation == new


def test_kinds() -> None:
    code = """
class C:
    x: int = 1
    def __init__(self): self.y = 2
    @property
    def p(self): return 1
    @staticmethod
    def s(a): ...
    @classmethod
    def c(cls, a): ...
    def m(self, a): ...
"""
    kinds = {name: contract(code, f"C.{name}") for name in "xypscm"}
    assert {name: one.kind for name, one in kinds.items()} == {
        "x": "attribute",
        "y": "attribute",
        "p": "property",
        "s": "static method",
        "c": "class method",
        "m": "method",
    }
    assert [[p.name for p in kinds[name].parameters] for name in "scm"] == [["a"], ["a"], ["a"]]


def test_a_symbol_is_found_where_it_is_now() -> None:
    moved = contract("from vllm.n import *\n", "C.m", n="class B:\n    def m(self): ...\nclass C(B): ...\n")
    assert (moved.defined, moved.hops) == ("vllm.n.B.m", ("re-exported", "inherited"))
    assert not contract("", "C.m").there


def test_the_default_of_a_field_is_what_it_holds() -> None:
    assert contract("class C:\n    x: bool = Field(default=None, ge=1)\n", "C.x").value == "None"


def test_docstrings_comments_and_annotations_are_no_change_of_a_body() -> None:
    plain = contract("def f(x):\n    return x + 1\n")
    dressed = contract("def f(x: int) -> int:\n    '''Says.'''\n    # so\n    return (x +\n  1)\n")
    assert plain.body == dressed.body != contract("def f(x):\n    return x + 2\n").body


def test_side_effects_on_what_is_handed_over() -> None:
    code = """
class Engine:
    def __init__(self): self.namer = Namer()
    def add(self, request):
        child = copy(request)
        child.name = "c"
        self.namer.rename(request)
class Namer:
    def rename(self, given): given.id = new()
"""
    inference = inference_of({"vllm/__init__.py": "", "vllm/m.py": code})
    found = inference.universe.find("vllm.m.Engine.add")
    assert found is not None
    assert effects_of(found, inference) == {"child.name": "m.py:6", "request.id": "m.py:9"}


@given(st.text(max_size=200))
def test_any_text_is_read_or_told_in_a_line(text: str) -> None:
    try:
        assert contract(text).symbol == "vllm.m.f"
    except PatchkitError as error:
        assert "cannot be parsed" in str(error) and "\n" not in str(error)
