"""Names that lead back to themselves, and code that is nested deeply or odd: read to the end, never a crash."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_releases import MadeUp
from test_hooks import read

from patchkit.drift.package import Package
from patchkit.drift.reading import read as read_release
from patchkit.drift.runtime_usage import read_code
from patchkit.series.manifest import Surface

AGAIN = """
from vllm.runner import Runner
Runner = Runner
class Mine(Runner):
    def step(self, b): return super().step(b)
"""


def test_a_name_that_is_bound_to_itself_is_what_it_was() -> None:
    assert ("wraps", "vllm.runner.Runner.step") in {(one.manner, one.symbol) for one in read(AGAIN).touches}


@pytest.mark.parametrize(
    "text",
    [
        "from vllm.n import Worker\nWorker = Worker\n",
        "Worker = Worker\n",
        "Worker = wrapped(Worker)\n",
        "Worker = Other\nOther = Worker\n",
        "Worker = Worker.Worker\n",
        "class Worker(Worker): pass\n",
        "import vllm.n as n\nWorker = n.Worker\n",
        "Worker = Worker()\n",
        "Worker: 'Worker' = Worker\n",
        "from vllm.m import *\nfrom vllm.n import *\n",
    ],
)
def test_circles_in_vllm_end(text: str) -> None:
    files = {"vllm/__init__.py": "", "vllm/m.py": text, "vllm/n.py": "import vllm.m as m\nWorker = m.Worker\n"}
    surface = Surface(wraps=["vllm.m.Worker", "vllm.m.Worker.run"], constructs=["vllm.m.Worker"])
    assert read_release(surface, Package(MadeUp(files), "vllm")).contracts.keys() == {
        "vllm.m.Worker",
        "vllm.m.Worker.run",
    }
    code = "from vllm.m import Worker\nWorker.run = lambda self: Worker()\nWorker().x.y()\n"
    runtime = {"rt/__init__.py": code}
    read_code(Package(MadeUp(runtime), "rt"), Package(MadeUp(files), "vllm"), {})


def test_a_line_that_is_nested_too_deeply_is_listed() -> None:
    deep = "from vllm.runner import Runner\nx = " + " + ".join(["a"] * 700) + "\nRunner.step = lambda self, b: b\n"
    seen = read(deep)
    assert [one.place for one in seen.unread] == ["rt/hooks.py:2"]
    assert ("replaces", "vllm.runner.Runner.step") in {(one.manner, one.symbol) for one in seen.touches}


def test_functions_that_call_each_other_with_classes_of_vllm_end() -> None:
    code = "from vllm.runner import Runner\ndef f(c): g(c)\ndef g(c): f(c); setattr(c, 'step', f)\nf(Runner)\n"
    assert ("replaces", "vllm.runner.Runner.step") in {(one.manner, one.symbol) for one in read(code).touches}


NAMES = st.sampled_from(["a", "b", "Runner", "cast", "self"])
SIMPLE = st.one_of(NAMES, st.sampled_from(["1", "'step'", "'vllm.runner'", "None"]))


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}.{}".format, NAMES, NAMES),
        st.builds("{}({})".format, NAMES, inner),
        st.builds("setattr({}, {}, {})".format, NAMES, inner, inner),
        st.builds("getattr({}, {})".format, NAMES, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}, {}, {})".format, inner, inner, inner),
        st.builds("{{{}: {}}}".format, SIMPLE, inner),
        st.builds("(lambda {}: {})".format, NAMES, inner),
        st.builds("[{} for {} in {}]".format, inner, NAMES, inner),
        st.builds("partial({}, {})".format, NAMES, inner),
        st.builds("(yield {})".format, inner),
        st.builds("super().{}".format, NAMES),
    )


EXPRESSIONS = st.recursive(SIMPLE, _grown, max_leaves=6)
STATEMENTS = st.recursive(
    st.one_of(
        st.builds("{} = {}\n".format, NAMES, EXPRESSIONS),
        st.builds("{}.{} = {}\n".format, NAMES, NAMES, EXPRESSIONS),
        st.builds("{}, *{} = {}\n".format, NAMES, NAMES, EXPRESSIONS),
        st.builds("return {}\n".format, EXPRESSIONS),
        st.builds("{}\n".format, EXPRESSIONS),
        st.just("from vllm.runner import Runner\n"),
        st.just("import vllm.cast as cast\n"),
    ),
    lambda inner: st.one_of(
        st.builds(lambda n, p, b: f"def {n}({p}, *r, **k):\n{_in(b)}", NAMES, NAMES, inner),
        st.builds(lambda n, p, b: f"class {n}({p}):\n{_in(b)}", NAMES, NAMES, inner),
        st.builds(lambda d, n, b: f"@{d}\ndef {n}(*r):\n{_in(b)}", NAMES, NAMES, inner),
        st.builds(lambda n, e, b: f"for {n} in {e}:\n{_in(b)}", NAMES, EXPRESSIONS, inner),
        st.builds(lambda a, b: f"try:\n{_in(a)}except E as a:\n{_in(b)}", inner, inner),
        st.builds(lambda a, b: a + b, inner, inner),
    ),
    max_leaves=8,
)


def _in(body: str) -> str:
    return "".join(f"    {line}\n" for line in body.splitlines())


@settings(max_examples=150, deadline=None)
@given(STATEMENTS)
def test_whatever_is_written_is_read_without_a_crash(body: str) -> None:
    code = f"def outer(self):\n{_in(body)}outer(1)\n"
    ast.parse(code)
    read(code + body.replace("return ", ""))
