"""What a review found that the scanner missed or called fixed; each case is a realistic change of vLLM."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from made_up_releases import MadeUp
from packaging.version import Version
from test_findings import M, changes, method

from patchkit.drift.compare import compare
from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.fixes import SymbolChange, misfits, with_fix
from patchkit.drift.package import Package
from patchkit.drift.reading import read
from patchkit.drift.scan import Scanner
from patchkit.drift.touch import CallShape, Touch, Unread
from patchkit.project import find_project
from patchkit.series.manifest import Selected, Surface

RUN = "    def run(self): return self.m(1)\n"


@dataclass
class CodeOf:
    """A patched runtime's code as it was read."""

    touches: list[Touch] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    pin: str = ""

    def on(self, symbol: str) -> list[Touch]:
        return [touch for touch in self.touches if touch.symbol == symbol]

    def dropped(self, symbol: str) -> str:
        return self.pin


NOTHING_READ = CodeOf()


def breaks(found: list[Finding]) -> list[str]:
    return [one.kind for one in found if one.breaks]


@pytest.mark.parametrize("kind", ["uncalled", "gone", "moved", "renamed", "kind-changed", "overridden"])
def test_a_patch_does_not_mend_a_drift_of_another_kind(kind: str) -> None:
    scanner = Scanner.of(find_project(), "esamp")
    symbol = "vllm.v1.worker.gpu_model_runner.GPUModelRunner._prepare_inputs"
    finding = Finding(kind, "silent", symbol, "dead")
    package = Package(MadeUp({"vllm/__init__.py": ""}), "vllm")
    contract = read(Surface(wraps=[symbol]), package).contracts[symbol]
    step = SymbolChange(Version("0.20.0"), Version("0.99.0"), False, contract, contract)
    assert with_fix(finding, scanner.series, step, NOTHING_READ).unpatched


def test_the_default_of_an_environment_variable_is_what_its_lambda_says() -> None:
    old = 'X: bool = False\nenvironment_variables = {"X": lambda: bool(int(os.getenv("X", "0")))}\n'
    found = changes(Surface(settings={"vllm.m.X": ["False"]}), old, old.replace('"0"', '"1"'))
    assert breaks(found) == ["setting-changed"]


def test_the_last_definition_counts() -> None:
    assert changes(Surface(wraps=[M]), method(), method() + "    def m(self, z, *, b):\n        return b\n")


@pytest.mark.parametrize(
    "new",
    [method() + "\nC.m = other\n", method() + "    def __init__(self):\n        self.m = self.n\n"],
    ids=["assigned to the class", "assigned on self"],
)
def test_a_method_that_is_replaced(new: str) -> None:
    assert breaks(changes(Surface(wraps=[M]), method(), new))


@pytest.mark.parametrize("before", ["    async ", "    @contextmanager\n    ", "    @asynccontextmanager\n    async "])
def test_what_a_call_gives_is_another_thing(before: str) -> None:
    assert breaks(changes(Surface(unpacks=[M]), method(), method().replace("    def m", f"{before}def m")))


def test_a_name_for_type_checkers_only_is_gone() -> None:
    new = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vllm.n import C\n"
    assert breaks(changes(Surface(wraps=[M]), method(), new, n=method()))


@pytest.mark.parametrize(
    "body",
    ["setattr(a, 'id', 1)", "b = a; b.id = 1", "help(it=a)", "a = dataclasses.replace(a, id=1)", "a.fresh()"],
)
def test_an_id_that_is_set_another_way(body: str) -> None:
    tail = "\ndef help(it):\n    it.id = 1\nclass A:\n    def fresh(self): self.id = 1\n"
    new = method("self, a: A", f"{body}; return a") + tail
    old = method("self, a: A") + tail
    assert breaks(changes(Surface(keeps={M: ["a.id"]}), old, new))


@pytest.mark.parametrize("to", ["None", "FastSampler()", "torch.zeros(1)"])
def test_an_attribute_that_is_set_to_something_else(to: str) -> None:
    old = "class C:\n    def __init__(self): self.x = Sampler()\n"
    assert changes(Surface(reads=["vllm.m.C.x"]), old, old.replace("Sampler()", to))


def test_one_of_two_callers_that_goes() -> None:
    old = method() + RUN + "    def dummy(self): return self.m(2)\n"
    assert {one.kind for one in changes(Surface(wraps=[M]), old, old.replace("self.m(1)", "self.fast(1)"))} & {
        "uncalled"
    }


@pytest.mark.parametrize("new", ["def init(self): self.runner = make()", "def other(self): ..."])
def test_a_choice_that_is_out_of_sight_is_said(new: str) -> None:
    worker = "from vllm.r import GPUModelRunner\nclass W:\n    "
    files = {"vllm/__init__.py": "", "vllm/r.py": "class GPUModelRunner: ...\n"}
    by = {"cuda": "vllm.w.W.init"}
    surface = Surface(selected={"vllm.r.GPUModelRunner": Selected(by, ["L"])})
    before = MadeUp({**files, "vllm/w.py": worker + "def init(self): self.runner = GPUModelRunner()\n"})
    after = MadeUp({**files, "vllm/w.py": worker + new + "\n"}, "1.1")
    old = read(surface, Package(before, "vllm"))
    assert compare(surface, old, read(surface, Package(after, "vllm"), old))


PREPARE = "vllm.v1.worker.gpu_model_runner.GPUModelRunner._prepare_inputs"


def judged(kind: str, before: str, after: str, proven: bool = False) -> Finding:
    code = CodeOf([Touch(PREPARE, "wraps", "rt/a.py:1", CallShape(0, rest=True, named=True))])
    scanner = Scanner.of(find_project(), "esamp")
    package = Package(MadeUp({"vllm/__init__.py": ""}), "vllm")
    contract = read(Surface(wraps=[PREPARE]), package).contracts[PREPARE]
    step = SymbolChange(Version(before), Version(after), proven, contract, contract)
    return with_fix(Finding(kind, "silent", PREPARE, "moved"), scanner.series, step, code)


@pytest.mark.parametrize(
    ("kind", "gates_see_it"), [("uncalled", True), ("selection-changed", False), ("setting-changed", False)]
)
def test_green_gates_mend_only_what_they_can_see(kind: str, gates_see_it: bool) -> None:
    assert judged(kind, "0.19.1", "0.20.0", proven=True).unpatched is not gates_see_it
    assert judged(kind, "0.19.1", "0.20.0").unpatched


def test_a_header_mends_the_step_in_which_its_patch_begins_and_perhaps_later_ones() -> None:
    begins, later = judged("returns-changed", "0.11.0", "0.11.1"), judged("returns-changed", "0.27.1", "0.28.0")
    assert [name[:4] for name in begins.fixed_by] == ["0004"]
    assert later.unpatched and [name[:4] for name in later.perhaps_by] == ["0004"]
    assert not judged("returns-changed", "0.10.1.1", "0.10.2").perhaps_by  # the patch is not taken there


def test_a_call_that_passes_by_place_does_not_fit_when_another_parameter_has_come_first() -> None:
    names = contracts_of("self, logits, metadata"), contracts_of("self, logits, rows, metadata")
    touch = Touch(M, "replaces", "rt/a.py:1", CallShape(2, rest=True, named=True))
    assert list(misfits(touch, *names)) == ["rt/a.py:1 has `metadata` where `rows` stands now"]
    assert list(misfits(touch, names[0], contracts_of("self, logits, metadata, more=1"))) == []


def contracts_of(signature: str) -> Contract:
    source = MadeUp({"vllm/__init__.py": "", "vllm/m.py": method(signature)})
    return read(Surface(wraps=[M]), Package(source, "vllm")).contracts[M]
