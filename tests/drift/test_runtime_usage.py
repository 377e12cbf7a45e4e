"""What a runtime's code touches, found without running it."""

from __future__ import annotations

import pytest
from made_up_releases import MadeUp

from patchkit.drift.package import Package
from patchkit.drift.runtime_usage import read_code
from patchkit.drift.touch import CallShape, Touch
from patchkit.errors import PatchkitError

VLLM = {
    "vllm/__init__.py": "",
    "vllm/config.py": "class Config:\n    width: int = 8\n    def size(self) -> int: return self.width\n",
    "vllm/batch.py": """
        class Batch:
            def __init__(self): self.rows = 3
            @property
            def names(self): return []
    """,
    "vllm/runner.py": """
        from vllm.batch import Batch
        from vllm.config import Config
        class Base:
            def inherited(self): ...
        class Runner(Base):
            def __init__(self, config: Config):
                self.config = config
                self.batch = Batch()
                self.model: Module = None
            def prepare(self, batch: "Batch", count: int) -> tuple[int, Config]:
                return count, self.config
            def step(self, batch: Batch): ...
    """,
    "vllm/layers.py": """
        class Layer:
            def forward(self, x): return x, x
        class Chooser:
            def __init__(self, fast):
                if fast: self.forward = self.forward_fast
                else: self.forward = self.forward_slow
            def forward_fast(self, x, y) -> tuple[int, int]: return x, y
            def forward_slow(self, x, y) -> tuple[int, int]: return y, x
    """,
}


def touched(code: str, types: dict[str, str] | None = None, **more: str) -> set[tuple[str, str]]:
    return {(touch.manner, touch.symbol.removeprefix("vllm.")) for touch in found(code, types, **more)}


def found(code: str, types: dict[str, str] | None = None, **more: str) -> list[Touch]:
    files = {"rt/__init__.py": "", "rt/hooks.py": code, **{f"rt/{name}.py": text for name, text in more.items()}}
    return list(read_code(Package(MadeUp(files), "rt"), Package(MadeUp(VLLM), "vllm"), types or {}).touches)


FACTORY = """
    from vllm.runner import Runner
    def hook(original):
        def prepare(self, batch, *rest):
            made = original(self, batch, *rest)
            {use}
            return made
        return prepare
    {put}
"""


@pytest.mark.parametrize(
    "put",
    [
        "Runner.prepare = hook(Runner.prepare)",
        "setattr(Runner, 'prepare', hook(Runner.prepare))",
        "patch(Runner, 'prepare', hook)",
        "for owner, name, make in [(Runner, 'prepare', hook)]: patch(owner, name, make)",
    ],
)
def test_a_monkey_patch_is_seen_however_it_is_put(put: str) -> None:
    assert ("wraps", "runner.Runner.prepare") in touched(FACTORY.format(use="self.batch.rows", put=put))


def test_the_parameters_of_a_hook_have_the_types_of_the_method_that_it_replaces() -> None:
    seen = touched(FACTORY.format(use="self.batch.rows; batch.names", put="patch(Runner, 'prepare', hook)"))
    assert {("reads", "runner.Runner.batch"), ("reads", "batch.Batch.rows"), ("reads", "batch.Batch.names")} <= seen


def test_what_is_taken_out_of_a_return_by_its_place() -> None:
    (touch,) = [
        one
        for one in found(FACTORY.format(use="made[1].width", put="patch(Runner, 'prepare', hook)"))
        if one.manner == "unpacks"
    ]
    assert (touch.symbol, touch.call) == ("vllm.runner.Runner.prepare", CallShape(2))
    assert touch.place == "rt/hooks.py:6"


def test_a_value_is_followed_through_the_runtimes_own_functions_and_attributes() -> None:
    seen = touched(
        """
        from functools import partial
        from vllm.runner import Runner
        from rt.book import Book
        def hook(book: Book, original):
            def step(self, batch):
                book.begin(self, batch)
                return original(self, batch)
            return step
        patch(Runner, "step", partial(hook, Book()))
        """,
        book="""
class Book:
    def begin(self, runner, batch):
        self.runner = runner
        use(batch)
    def later(self):
        return self.runner.config.size() + [one for one in [self.runner.batch]][0].rows
def use(batch):
    return getattr(batch, "names")
""",
    )
    assert {
        ("calls", "config.Config.size"),
        ("reads", "runner.Runner.config"),
        ("reads", "batch.Batch.rows"),
        ("reads", "batch.Batch.names"),
    } <= seen


def test_a_replacement_that_returns_a_value_of_its_own_is_no_wrapper() -> None:
    code = """
        from vllm.runner import Runner
        def hook(original):
            def step(self, batch):
                if batch is None:
                    return 3
                return original(self, batch)
            return step
        patch(Runner, "step", hook)
    """
    assert ("replaces", "runner.Runner.step") in touched(code)


def test_calls_keep_how_much_they_pass() -> None:
    code = """
        from vllm.runner import Runner
        def hook(original):
            def prepare(self, batch, *rest, **named):
                return original(self, batch, *rest, count=1, **named)
            return prepare
        patch(Runner, "prepare", hook)
    """
    calls = [one.call for one in found(code) if one.manner == "calls"]
    assert calls == [CallShape(1, ("count",), rest=True, named=True)]


def test_an_object_that_is_called_is_a_call_of_its_forward_whichever_that_is() -> None:
    code = "from vllm.layers import Chooser\ndef use(chooser: Chooser):\n    a, b = chooser(1, 2)\n"
    assert {("calls", "layers.Chooser.forward"), ("unpacks", "layers.Chooser.forward")} <= touched(code)


def test_what_no_annotation_tells_the_manifest_says() -> None:
    code = """
        from vllm.runner import Runner
        def use(runner: Runner):
            tap(runner.model)
        def tap(layer):
            kept = layer.forward
            out = kept(1)
            out[0]
            layer.forward = Tap()
        class Tap:
            def __call__(self, x): return x
    """
    blind, typed = touched(code), touched(code, {"vllm.runner.Runner.model": "vllm.layers.Layer"})
    assert not any("Layer" in symbol for _, symbol in blind)
    assert {("replaces", "layers.Layer.forward"), ("unpacks", "layers.Layer.forward")} <= typed


def test_odd_code_is_read_to_its_end() -> None:
    code = """
        import vllm.runner as r
        async def f(*a, **k):
            async with a as b, c: pass
            try: x: int = (y := 1)
            except ValueError as e: raise
            else: del x
            lambda z: z.q
            return {i: j for i, j in k.items() if await i}
        r.Runner.step = f
        r.Runner.nothing_there = f
        setattr(r.Runner, *f)
    """
    assert ("replaces", "runner.Runner.step") in touched(code)


def test_a_circle_of_names_ends() -> None:
    assert touched("from rt.b import X\nX.y.z()\n", b="from rt.hooks import X\nclass Y(Y): pass\n") == set()


def test_a_file_that_is_no_python_is_told() -> None:
    with pytest.raises(PatchkitError, match=r"rt/hooks\.py:2 of made up cannot be parsed"):
        touched("x = 1\ndef (:\n")
