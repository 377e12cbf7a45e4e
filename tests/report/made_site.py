"""Evidence files of every kind in a folder, and the site that is made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_accuracy
import msgspec
from made_evidence import evidence_of, green, red, without

from patchkit.drift.drift import Drift, Read, document
from patchkit.drift.findings import Finding
from patchkit.gates.evidence import Evidence, to_json
from patchkit.gates.mutants_evidence import GateRun, MutantRun, MutantsEvidence, score
from patchkit.report.site import render_site
from patchkit.report.site.sources import Sources, read_sources
from patchkit.report.site.trees import Standing, Trees
from patchkit.watch.tick import NewRelease, Tick

PUBLISHED = {
    "kind": "published",
    "title": "Three outcomes",
    "n": 8,
    "cells": [
        {"model": "M", "task": "T", "problems": 30, "claim": "it rises", "pass_1": {"before": 0.2, "after": 0.3}}
    ],
}
DEAD = "LlamaForCausalLM on cuda"


class Stood(Trees):
    """Trees to which all evidence stands alike, of a project with these gates."""

    def __init__(self, standing: Standing = "this tree", gates: Sequence[str] = ()) -> None:
        super().__init__()
        self.alike, self.names = standing, list(gates)

    def gates(self, runtime: str, release: str | None = None, mode: str = "eager", device: str = "cuda") -> list[str]:
        return self.names

    def standing(self, evidence: object) -> Standing:
        return self.alike


def gate(release: str, *names_red: str, **more: Any) -> Evidence:
    """Gates on a release, some of them red."""
    verdicts = [red(name) if name in names_red else green(name, rows=7675) for name in ("identity", "decode_shrink")]
    return msgspec.structs.replace(evidence_of("gate", verdicts), release=release, **more)


def bench() -> Evidence:
    """Throughput at 64 rows."""
    figures: dict[str, Any] = {
        "plain_tokens_per_second": 1000.0,
        "patched_tokens_per_second": 623.0,
        "ratio": 0.623,
        "ratio_low": 0.611,
        "ratio_high": 0.634,
        "pairs": 6,
        "decode_rows_at_once": 64,
    }
    return evidence_of("bench", [green("throughput", **figures)])


def knockout() -> Evidence:
    """The first patch is caught, the second is not."""
    return evidence_of(
        "knockout",
        [green("identity"), green("decode_shrink")],
        [
            without("0005-Learn-ids", "identity", "identity", identity=False, decode_shrink=True),
            without("0007-Clear-the-tail", "", "decode_shrink", decode_shrink=True),
        ],
    )


def mutants() -> MutantsEvidence:
    """One killed, one survived, one of which nobody knows."""
    rows, loss = {"family": "rows", "gates": ["identity"]}, {"family": "loss"}
    runs = [
        MutantRun(mutant="001-a", what="A is wrong", outcome="killed", by="identity", reason="seen", **rows),
        MutantRun(mutant="002-b", what="B is wrong", outcome="survived", **rows),
        MutantRun(mutant="003-c", what="C is wrong", outcome="unknown", reason="no memory", **loss),
    ]
    base = evidence_of("gate", [])
    fields = {name: getattr(base, name) for name in ("command", "began", "seconds", "release", "device", "runtime")}
    return MutantsEvidence(
        **fields, score=score(runs, 3), control=[GateRun(gate="identity", passed=True)], mutants=runs
    )


def drift() -> list[dict[str, Any]]:
    """A silent break that a patch fixes, a loud one that none does, and a release in which nothing broke."""
    prepare, draw = "vllm.a.Runner._prepare", "vllm.b.Sampler.draw"
    fixed = Finding("returns-changed", "silent", prepare, "returns 2 values where it returned 6")
    fixed = replace(fixed, fixed_by=("0005-Learn-ids",), because="its header names the symbol")
    bare = Finding("gone", "loud", draw, "is gone")
    read = {release: Read(release, f"vllm-{release}.whl", True) for release in ("0.19.0", "0.20.0", "0.21.0", "0.22.0")}
    steps = [
        ("0.19.0", "0.20.0", (fixed,), ()),
        ("0.20.0", "0.21.0", (bare,), (DEAD,)),
        ("0.21.0", "0.22.0", (), (DEAD,)),
    ]
    pin = "0753033777931d03"
    return document([Drift("esamp", pin, read[old], read[new], (), (), *found) for old, new, *found in steps])


def watch() -> dict[str, Any]:
    """One new release, refused."""
    newcomer = NewRelease("0.23.0", outcome="refused", why="patch 0005 does not apply", left_over=1)
    tick = Tick("esamp", "cpu", began="2026-11-20T06:00:00+00:00", news=[newcomer])
    tick.finish()
    found: dict[str, Any] = msgspec.to_builtins(tick.report())
    return found


def write(folder: Path, **records: Any) -> list[Path]:
    """Each record in a file of its name; structs, builtins and bytes alike."""
    paths = []
    for name, record in records.items():
        path = folder / f"{name}.json"
        text = to_json(record) if isinstance(record, msgspec.Struct) else json.dumps(record)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def everything(folder: Path) -> list[Path]:
    """A file of every kind."""
    run = made_accuracy.evidence(made_accuracy.cell(count=4, n=2, trials=2, lift=0.1))
    return write(
        folder,
        newer=gate("0.20.0"),
        older=gate("0.19.0", "decode_shrink"),
        speed=bench(),
        left_out=knockout(),
        wrong=mutants(),
        answers=run,
        drifts=drift(),
        looked=watch(),
        theirs=PUBLISHED,
    )


def site(paths: Sequence[Path], standing: Standing = "this tree", gates: Sequence[str] = ()) -> dict[str, str]:
    """The site's files by name, with all evidence of one standing."""
    sources: Sources = read_sources(paths)
    return render_site(sources, Stood(standing, gates))
