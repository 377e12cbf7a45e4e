"""Sentences that all forms share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from patchkit import model_runner
from patchkit.gates.evidence import Circumstances, Evidence, Figure, Hardware, Knockout, Verdict, Versions
from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.plural import counted
from patchkit.report import patches_needed

NAMES = {"gate": "gate", "knockout": "gate", "bench": "benchmark"}
VENDOR_OR_MEMORY = re.compile(r"^(NVIDIA|AMD|Intel\(R\)|Intel)\s+|[\s-]+\d+\s?GB\b|[\s-]+HBM\d\w*\b", re.IGNORECASE)


def headline(evidence: Evidence | MutantsEvidence) -> str:
    """The subject of the evidence: ``gate: RUNTIME 07530337 with 7 patches on vLLM 0.20.0, cpu``."""
    return f"{evidence.kind}: {subject(evidence)}"


def subject(evidence: Circumstances) -> str:
    """What was judged, and on what: ``RUNTIME 07530337 with 7 patches on vLLM 0.20.0, cuda (NVIDIA H200)``."""
    runtime = evidence.runtime
    without = f" without {', '.join(runtime.without)}" if runtime.without else ""
    whole = series(runtime.name, runtime.pin, len(runtime.patches))
    return f"{whole}{without} on {place(evidence)}"


def place(evidence: Circumstances) -> str:
    """``vLLM 0.20.0, cuda (NVIDIA H200)``; the first model runner goes without saying."""
    gpu = evidence.hardware.gpu
    where = f"vLLM {evidence.release}, {evidence.device}{f' ({gpu})' if gpu else ''}"
    return f"{where}{second(evidence)}{compiled(evidence)}"


def short_gpu(name: str) -> str:
    """A GPU without its vendor and its memory: ``H100`` for ``NVIDIA H100 80GB HBM3``."""
    return VENDOR_OR_MEMORY.sub("", name).strip() or name


def compiled(evidence: Circumstances) -> str:
    """A clause for a run that was not eager, and for engines with settings of the user's; empty for any other."""
    given = "".join(f", {name}={json.dumps(value)}" for name, value in evidence.engine.items())
    return ("" if evidence.mode == "eager" else ", graphs") + given


def second(evidence: Circumstances) -> str:
    """A clause for a run on the second model runner, and what of it was not vLLM's own; empty for the first."""
    if evidence.runner == "unknown":
        return ", unknown model runner"
    replaced = f" (replaced, not tested: {', '.join(evidence.replaced)})" if evidence.replaced else ""
    return "" if evidence.runner == "v1" else f", {model_runner.NAMES[evidence.runner]}{replaced}"


def series(runtime: str, pin: str, patches: int) -> str:
    """``RUNTIME 07530337 with 7 patches``."""
    return f"{runtime} {pin[:8]} with {counted(patches, 'patch', 'patches')}"


def sentences(evidence: Evidence) -> Iterator[str]:
    """The verdict: how many gates are green, and which are red."""
    if not evidence.verdicts and not evidence.knockouts:
        yield "nothing was judged"
    if evidence.verdicts:
        red = [verdict.scenario for verdict in evidence.verdicts if not verdict.passed]
        all_of_them = counted(len(evidence.verdicts), NAMES[evidence.kind])
        whole = " with the whole series" if evidence.kind == "knockout" else ""
        green = f"{len(evidence.verdicts) - len(red)} of {all_of_them}"
        yield f"{green} green{whole}" + (f"; red: {', '.join(red)}" if red else "")
    if evidence.knockouts:
        missed = [knocked.patch.split("-")[0] for knocked in evidence.knockouts if not knocked.caught]
        caught = f"{len(evidence.knockouts) - len(missed)} of {counted(len(evidence.knockouts), 'patch', 'patches')}"
        yield f"{caught} caught" + (f"; not caught: {', '.join(missed)}" if missed else "")
        yield from patches_needed.sentence(evidence)


def circumstances(evidence: Circumstances) -> dict[str, str]:
    """How it came about: command, time, versions, hardware; what is not known is left out."""
    rows = {
        "command": evidence.command,
        "began": evidence.began,
        "took": f"{evidence.seconds:.1f} s",
        "versions": versions(evidence.versions),
        "hardware": hardware(evidence.hardware),
        "pin": evidence.runtime.pin,
        "patchkit": evidence.patchkit,
    }
    return {name: value for name, value in rows.items() if value}


def versions(found: Versions) -> str:
    """``vLLM 0.20.0, torch 2.11.0, …``."""
    named = {"vLLM": found.vllm, "torch": found.torch, "transformers": found.transformers, "Python": found.python}
    return ", ".join(f"{name} {version}" for name, version in named.items() if version)


def hardware(found: Hardware) -> str:
    """``2 cores of AMD EPYC, 23.5 GiB, NVIDIA H200``."""
    cores = f"{counted(found.cores, 'core')} of {found.cpu or 'an unknown CPU'}" if found.cores else found.cpu
    memory = f"{found.memory_gib:g} GiB" if found.memory_gib else ""
    return ", ".join(filter(None, (cores, memory, found.gpu)))


def where(verdict: Verdict) -> str:
    """Step and batch shape, unless the reason holds them already."""
    if verdict.step is None or f"step {verdict.step} " in f"{verdict.reason} ":
        return ""
    shape = f" ({verdict.shape})" if verdict.shape else ""
    return f"at step {verdict.step}{shape}"


def explained(verdict: Verdict) -> str:
    """A red verdict's reason, where it happened, what that resembles."""
    resembles = f"resembles {verdict.resembles}" if verdict.resembles else ""
    return "; ".join(filter(None, (verdict.reason or "no reason was given", where(verdict), resembles)))


def outcome(knocked: Knockout) -> str:
    """``decode_shrink went red: …`` or why the patch was not caught."""
    if knocked.caught:
        return f"{knocked.by} went red: {knocked.reason}"
    expected = f"; expected {knocked.expected}" if knocked.expected else ""
    return f"not caught: {knocked.reason}{expected}"


def last_words(verdict: Verdict) -> str:
    return "\n".join(part.last_words for part in verdict.parts if part.last_words)


def gates_of(evidence: Evidence) -> list[str]:
    """The matrix's columns, in the order they were judged."""
    names = [verdict.scenario for verdict in evidence.verdicts]
    names += [name for knocked in evidence.knockouts for name in knocked.verdicts]
    return list(dict.fromkeys(names))


def matrix(evidence: Evidence) -> Iterator[tuple[str, list[str]]]:
    """Patch by gate: ``✓`` green, ``✗`` red, ``·`` not run; brackets where the patch's header says it must be red."""
    gates = gates_of(evidence)
    whole = {verdict.scenario: verdict.passed for verdict in evidence.verdicts}
    yield "nothing", [mark(whole.get(gate)) for gate in gates]
    for knocked in evidence.knockouts:
        found = {gate: brief.passed for gate, brief in knocked.verdicts.items()}
        marks = [mark(found.get(gate)) for gate in gates]
        yield (
            knocked.patch,
            [f"[{cell}]" if gate in knocked.named else cell for gate, cell in zip(gates, marks, strict=True)],
        )


def mark(passed: bool | None) -> str:
    return "·" if passed is None else "✓" if passed else "✗"


def figures(verdict: Verdict) -> Iterable[tuple[str, str]]:
    return ((name, number(figure)) for name, figure in verdict.figures.items())


def number(figure: Figure) -> str:
    """``7,675``, ``0.6427``, ``3.083e-06``; or that it is not known."""
    if figure is None:
        return "unknown"
    if isinstance(figure, str):
        return figure
    return f"{figure:,.0f}" if float(figure).is_integer() or abs(figure) >= 1000 else f"{figure:.4g}"
