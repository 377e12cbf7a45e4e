"""Every way of hooking that public runtimes use: which symbol is touched, how, and what the hook takes."""

from __future__ import annotations

import pytest
from made_up_releases import MadeUp
from test_runtime_usage import VLLM, found

from patchkit.drift.package import Package
from patchkit.drift.runtime_usage import read_code
from patchkit.drift.touch import CallShape, CodeRead

MORE = {
    "vllm/cast.py": "def cast(x, block): return x\nLIMIT = 3\n",
    "vllm/uses.py": "from vllm.cast import cast\n",
}
STEP = "def step(self, batch): return original(self, batch)"


def hooks(code: str, **more: str) -> set[tuple[str, str]]:
    return {(one.manner, one.symbol.removeprefix("vllm.")) for one in read(code, **more).touches if one.manner in HOOKS}


HOOKS = ("wraps", "replaces", "derives", "constructs", "writes", "text")


def read(code: str, **more: str) -> CodeRead:
    files = {"rt/__init__.py": "", "rt/hooks.py": code, **{f"rt/{name}.py": text for name, text in more.items()}}
    return read_code(Package(MadeUp(files), "rt"), Package(MadeUp({**VLLM, **MORE}), "vllm"), {})


WRAPPED = {
    "as the class gives it, and taken away again": """
        from inspect import getattr_static
        from vllm.runner import Runner
        class Hook:
            def __init__(self, owner, name, make):
                self.owner, self.name, self.original = owner, name, getattr_static(owner, name)
                setattr(owner, name, make(self.original))
            def remove(self):
                delattr(self.owner, self.name)
        def hooked(original):
            def step(self, batch): return original(self, batch)
            return step
        def install(): return Hook(Runner, "step", hooked)
    """,
    "imported inside the function": """
        def install():
            from vllm.runner import Runner
            original = Runner.step
            def step(self, batch): return original(self, batch)
            Runner.step = step
    """,
    "a module by its whole name": """
        import vllm.runner
        original = vllm.runner.Runner.step
        def step(self, batch):
            made = original(self, batch)
            return made
        vllm.runner.Runner.step = step
    """,
    "importlib": """
        import importlib
        def install():
            Runner = importlib.import_module("vllm.runner").Runner
            original = Runner.step
            Runner.step = lambda self, batch: original(self, batch)
    """,
    "sys.modules": """
        import sys
        def install():
            runner = sys.modules["vllm.runner"]
            original = runner.Runner.step
            def step(self, batch): return original(self, batch)
            setattr(runner.Runner, "step", step)
    """,
    "one import or the other": """
        try:
            from vllm.gone import Runner
        except ImportError:
            from vllm.runner import Runner
        original = Runner.step
        def step(self, batch): return original(self, batch)
        Runner.step = step
    """,
    "a decorator that sets the attribute": """
        from vllm.runner import Runner
        def onto(owner, name):
            def put(function):
                setattr(owner, name, function)
                return function
            return put
        original = Runner.step
        @onto(Runner, "step")
        def step(self, batch): return original(self, batch)
    """,
    "a table of texts": """
        import importlib
        from rt import mine
        TABLE = [("vllm.runner", "Runner", "step", mine.make_step), ("vllm.cast", "", "LIMIT", None)]
        def install():
            for module, owner, name, make in TABLE:
                holder = getattr(importlib.import_module(module), owner)
                setattr(holder, name, make(getattr(holder, name)))
    """,
    "a mapping": """
        from vllm.runner import Runner
        from rt.mine import make_step
        HOOKS = {"step": make_step}
        def install():
            for name, make in HOOKS.items():
                setattr(Runner, name, make(getattr(Runner, name)))
    """,
    "the class of an object": """
        from vllm.runner import Runner
        def install(runner: Runner):
            original = type(runner).step
            def step(self, batch): return original(self, batch)
            runner.__class__.step = step
    """,
    "a subclass that hands on": """
        from vllm.runner import Runner
        class Mine(Runner):
            def step(self, batch):
                self.seen = batch
                return super().step(batch)
    """,
    "a subclass inside a function": """
        def make():
            from vllm.runner import Runner as Base
            class Mine(Base):
                def step(self, batch): return Base.step(self, batch)
            return Mine
    """,
    "wrapt": """
        import wrapt
        def around(wrapped, instance, args, kwargs): return wrapped(*args, **kwargs)
        wrapt.wrap_function_wrapper("vllm.runner", "Runner.step", around)
    """,
    "wrapt's decorator": """
        import wrapt
        @wrapt.patch_function_wrapper("vllm.runner", "Runner.step")
        def around(wrapped, instance, args, kwargs):
            made = wrapped(*args, **kwargs)
            return made
    """,
    "functools.wraps": """
        import functools
        from vllm.runner import Runner
        def again(function):
            @functools.wraps(function)
            def inner(self, *rest, **named): return function(self, *rest, **named)
            return inner
        Runner.step = again(Runner.step)
    """,
}


@pytest.mark.parametrize("code", WRAPPED.values(), ids=WRAPPED)
def test_a_method_is_wrapped_however_it_is_written(code: str) -> None:
    mine = "def make_step(original):\n    def step(self, batch): return original(self, batch)\n    return step\n"
    seen = read(code, mine=mine)
    assert "wraps vllm.runner.Runner.step" in {f"{one.manner} {one.symbol}" for one in seen.touches}
    assert not {one for one in seen.touches if one.symbol.endswith("step") and one.manner == "replaces"}
    assert seen.unread == ()


REPLACED = {
    "a function of a module": ("from vllm import cast\ncast.cast = lambda x, *r: x\n", "cast.cast"),
    "through another module": ("import vllm.uses as u\ndef mine(x, block): return x\nu.cast = mine\n", "uses.cast"),
    "a class": (
        "import vllm.runner as r\nclass Mine:\n    def __init__(self, c): ...\nr.Runner = Mine\n",
        "runner.Runner",
    ),
    "by its text": ("from unittest import mock\nmock.patch('vllm.cast.cast', lambda x, b: x).start()\n", "cast.cast"),
    "by mock": (
        "from unittest.mock import patch\nfrom vllm import cast\n"
        "def use():\n    with patch.object(cast, 'cast', lambda x, b: x): pass\n",
        "cast.cast",
    ),
    "a static method": (
        "from vllm.runner import Runner\ndef mine(batch): return 1\nRunner.step = staticmethod(mine)\n",
        "runner.Runner.step",
    ),
    "a module": ("import sys\nsys.modules['vllm.cast'] = object()\n", "cast"),
    "by what cannot be known": (
        "import foreign\nfrom vllm.runner import Runner\nRunner.step = foreign.jit(lambda: 1, 2)\n",
        "runner.Runner.step",
    ),
}


@pytest.mark.parametrize(("code", "symbol"), REPLACED.values(), ids=REPLACED)
def test_what_is_replaced_is_not_called_wrapped(code: str, symbol: str) -> None:
    assert ("replaces", symbol) in hooks(code) and ("wraps", symbol) not in hooks(code)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("from vllm import cast\ndef f(x, b): return x\ncast.cast = f\n", CallShape(2)),
        ("from vllm.runner import Runner\ndef f(self, b): return b\nRunner.step = f\n", CallShape(1)),
        ("from vllm.runner import Runner\ndef f(b): return b\nRunner.step = staticmethod(f)\n", CallShape(1)),
        ("from vllm.runner import Runner\ndef f(cls, b): return b\nRunner.step = classmethod(f)\n", CallShape(1)),
        ("from vllm.runner import Runner\ndef use(r: Runner):\n    r.step = lambda b, c: b\n", CallShape(2)),
        (
            "from functools import partial\nfrom vllm.runner import Runner\n"
            "def f(more, self, b): return b\nRunner.step = partial(f, 1)\n",
            CallShape(1),
        ),
        (
            "from vllm.runner import Runner\nclass M(Runner):\n    def step(self, *, batch): return 1\n",
            CallShape(0, ("batch",)),
        ),
    ],
)
def test_what_a_hook_takes_after_what_is_bound(code: str, call: CallShape) -> None:
    (hook,) = [one for one in read(code).touches if one.manner == "replaces"]
    assert hook.call == call


def test_a_class_is_constructed_derived_and_written_to() -> None:
    code = """
        from vllm.batch import Batch
        from vllm.runner import Runner
        class Mine(Runner):
            def use(self):
                self.batch = Batch(rows=2)
                self.batch.rows = 3
                self.inherited()
        Runner.marked = True
    """
    assert hooks(code) == {
        ("derives", "runner.Runner"),
        ("constructs", "batch.Batch"),
        ("writes", "runner.Runner.batch"),
        ("writes", "batch.Batch.rows"),
    }  # a mark of one's own is nothing of vLLM's
    assert ("calls", "vllm.runner.Base.inherited") in {(one.manner, one.symbol) for one in read(code).touches}
    (made,) = [one for one in read(code).touches if one.manner == "constructs"]
    assert made.call == CallShape(0, ("rows",))


def test_source_that_is_read_as_text() -> None:
    code = "import inspect\nfrom vllm import cast\ntext = inspect.getsource(cast.cast).replace('x', 'y')\nexec(text)\n"
    assert ("text", "cast.cast") in hooks(code)
    assert [one.place for one in read(code).unread] == ["rt/hooks.py:4"]


def test_a_hook_on_what_this_release_does_not_have_is_seen() -> None:
    code = "from vllm.runner import Gone\nGone.step = lambda self: 1\n"
    assert hooks(code) == {("replaces", "runner.Gone.step")}


def test_what_is_put_back_is_no_hook() -> None:
    code = """
        from vllm.runner import Runner
        kept = Runner.step
        Runner._kept = Runner.step
        def remove(): Runner.step = kept
    """
    assert hooks(code) == set()


UNREAD = {
    "a name that is computed": "from vllm import runner\ndef put(name, f): setattr(runner, name, f)\n",
    "an object of an unknown type": "def put(layer):\n    layer.forward = lambda x: x\n",
    "a wrapper of the unknown": "def put(layer):\n    layer.forward = jit(layer.forward)\n",
    "a module that is computed": "import importlib\ndef load(name): return importlib.import_module(name)\n",
    "text that is run": "def run(text):\n    exec(text)\n",
    "a text given to the unknown": "import foreign\nforeign.intercept('vllm.runner.Runner.step')\n",
    "an attribute that is computed": "from vllm import runner\ndef get(name): return getattr(runner, name)\n",
    "a table that nothing reads": "from vllm.runner import Runner\nTABLE = [(Runner, 'step', 'why'), 3]\n",
}


@pytest.mark.parametrize("code", UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_followed_is_listed_with_its_line(code: str) -> None:
    unread = read(code).unread
    assert unread and all(one.place == "rt/hooks.py:2" for one in unread)


FOLLOWED = {
    "the runtime's own": "class A: pass\ndef put(n):\n    a = A()\n    setattr(a, n, print)\n    a.f = lambda: 1\n",
    "another package's": "import torch\ntorch.compile = lambda x: x\nsetattr(torch, 'x' + str(1), print)\n",
    "with the arguments of a call": (
        "from vllm import cast\ndef put(name, f): setattr(cast, name, f)\nput('cast', lambda x, b: x)\n"
    ),
}


@pytest.mark.parametrize("code", FOLLOWED.values(), ids=FOLLOWED)
def test_what_is_not_vllms_or_was_followed_is_not_listed(code: str) -> None:
    assert read(code).unread == ()


def test_the_names_in_a_tuple_are_read_one_by_one() -> None:
    code = """
        from vllm.batch import Batch
        def use(batch: Batch):
            return [getattr(batch, name) for name in ("rows", "names")]
    """
    reads = {one.symbol for one in found(code) if one.manner == "reads"}
    assert reads == {"vllm.batch.Batch.rows", "vllm.batch.Batch.names"}


def test_a_factory_that_may_return_the_original_still_hooks() -> None:
    code = """
        from vllm import cast
        def once(function):
            if getattr(function, "done", False):
                return function
            def inner(x, block): return function(x, block)
            inner.done = True
            return inner
        def install():
            made = once(cast.cast)
            cast.cast = made
    """
    assert ("wraps", "cast.cast") in hooks(code)


def test_what_is_taken_out_of_a_class_by_its_dictionary() -> None:
    code = """
        from vllm.runner import Runner
        def install():
            original = vars(Runner)["step"]
            def step(self, batch): return original(self, batch)
            Runner.step = step
        def remove(kept=Runner.__dict__.get("step")): Runner.step = Runner.__dict__.get("step")
    """
    assert hooks(code) == {("wraps", "runner.Runner.step")}


def test_tables_that_are_zipped() -> None:
    code = "from vllm import cast\nfor n, f in zip(('cast', 'LIMIT'), (lambda x, b: x, 3)):\n    setattr(cast, n, f)\n"
    assert hooks(code) == {("replaces", "cast.cast"), ("writes", "cast.LIMIT")}
