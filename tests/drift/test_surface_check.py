"""The declared surface against the code, and what a drift reports that is no change."""

from __future__ import annotations

from dataclasses import replace

from made_up_releases import MadeUp

from patchkit.drift.drift import Drift, Read, verdict
from patchkit.drift.package import Package
from patchkit.drift.reading import Choice, ChosenClass, Reading, read
from patchkit.drift.scan import dead
from patchkit.drift.surface_check import Touched, mismatches
from patchkit.drift.touch import Touch
from patchkit.report.drift.terminal import remarks
from patchkit.series.manifest import Selected, Surface

GONE = "declared, but no release that was read has vllm.m.C.y"
READ = Touch("vllm.m.C.x", "reads", "rt/a.py:3")


def state(*touches: Touch, missing: str = "") -> Touched:
    names = {"vllm.m.C.x", "vllm.m.C.y", "vllm.m.D.x"}
    return Touched("pin", touches, {name: name for name in names}, frozenset({missing} - {""}))


def said(surface: Surface, *states: Touched) -> list[str]:
    return [str(one) for one in mismatches(surface, states)]


def test_what_is_declared_and_touched_agrees() -> None:
    assert said(Surface(reads=["vllm.m.C.x"]), state(READ)) == []


def test_an_undeclared_touch_is_a_finding_with_its_place() -> None:
    assert said(Surface(), state(READ)) == ["undeclared: rt/a.py:3 reads vllm.m.C.x"]


def test_a_touch_of_another_manner_is_undeclared() -> None:
    assert said(Surface(calls=["vllm.m.C.x"]), state(READ)) == [
        "undeclared: rt/a.py:3 reads vllm.m.C.x",
        "declared, but nothing in the code calls vllm.m.C.x",
    ]


def test_a_name_that_no_release_has_is_a_finding_and_one_that_some_have_is_none() -> None:
    surface = Surface(keeps={"vllm.m.C.y": ["a.id"]})
    gone = state(missing="vllm.m.C.y")
    assert said(surface, gone, gone) == ["declared, but no release that was read has vllm.m.C.y"]
    assert said(surface, gone, state()) == []


def test_models_without_a_hook_are_told() -> None:
    files = {"vllm/__init__.py": "", "vllm/r.py": "class GPUModelRunner: ...\n"}
    files["vllm/s.py"] = "class GPUModelRunner: ...\n"
    worker = "from vllm.s import GPUModelRunner\nclass W:\n    def init(self): self.runner = GPUModelRunner()\n"
    surface = Surface(selected={"vllm.r.GPUModelRunner": Selected({"cuda": "vllm.w.W.init"}, ["L"])})
    reading = read(surface, Package(MadeUp({**files, "vllm/w.py": worker}), "vllm"))
    side = Read("1.0", "made up", False)
    drift = Drift("toy", "0" * 40, side, side, (), (), (), tuple(dead(reading, surface)))
    assert verdict(drift) == "nothing that the runtime depends on has changed"
    assert remarks(drift) == ["no hook fires by default in vLLM 1.0 for L on cuda (vllm.s.GPUModelRunner)"]


def test_a_class_that_a_patch_hooks_too_is_not_dead() -> None:
    chosen = ChosenClass("vllm.r.GPUModelRunner", "cuda", "L")
    second = Choice(("vllm.second.GPUModelRunner",), False, "w.py:1", (), ())
    by = {"cuda": "vllm.w.W.init"}
    followed = Selected(by, ["L"], {"vllm.second.GPUModelRunner": ">=0.23.0"})
    for selected, release, models in (
        (followed, "0.23.0", []),
        (followed, "0.22.1", ["L on cuda (vllm.second.GPUModelRunner)"]),
        (Selected(by, ["L"]), "0.23.0", ["L on cuda (vllm.second.GPUModelRunner)"]),
    ):
        reading = Reading(release, "", True, {}, {chosen: second})
        assert list(dead(reading, Surface(selected={chosen.symbol: selected}))) == models


def test_a_symbol_of_releases_that_were_not_read_is_not_judged() -> None:
    surface = Surface(reads=["vllm.m.C.x", "vllm.m.C.y"], only_in={"vllm.m.C.y": ">=0.31.0"})
    for release, lines in (
        ("0.28.0", []),
        ("0.31.0", ["declared, but nothing in the code reads vllm.m.C.y", GONE]),
        ("", ["declared, but nothing in the code reads vllm.m.C.y", GONE]),
    ):
        assert said(surface, replace(state(READ, missing="vllm.m.C.y"), release=release)) == lines
