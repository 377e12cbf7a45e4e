"""What is known of a tree on one release, model runner and device, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from patchkit.environments.lock import lock_file
from patchkit.model_runner import NAMES, VARIABLE, ModelRunner, usual_runner
from patchkit.series.proven import Proof, ProvenTable

State = Literal["proven", "unknown", "broken"]
"""Every gate is green; no gate was run on these files; known not to work."""


@dataclass(frozen=True)
class Place:
    """Where a runtime is to run."""

    release: str
    runner: ModelRunner
    device: str

    def __str__(self) -> str:
        return f"on {self.device} with vLLM's {NAMES[self.runner]}"

    def proving(self, named: str = "") -> str:
        """What to run to prove it; ``named`` is the option that names the runtime, with a space before it."""
        device = "" if self.device == "cpu" else f" --device {self.device}"
        runner = "" if self.runner == "v1" else f" --runner {self.runner}"
        gate = f"`patchkit gate --vllm {self.release}{device}{runner}{named}`"
        locked = self.device != "cpu" or lock_file(self.release, "cpu").is_file()
        lock = "" if locked else f"`patchkit lock {self.release}`, which asks for a CPU build, then "
        return f"run {lock}{gate}"


@dataclass(frozen=True)
class Standing:
    """What is known, why in one clause, and what to do; ``fix`` is empty if there is nothing to do."""

    place: Place
    state: State
    why: str
    fix: str = ""


def standing(table: ProvenTable, place: Place, tree: str, named: str = "") -> Standing:
    """What is known of the patched tree with git's hash ``tree``.

    Args:
        named: option that names the runtime in commands, with a space before it; empty where there is only one.
    """
    known = table.of(place.release, place.runner, place.device)
    current = [one for one in known if one.tree == tree]
    fix = place.proving(named)
    red = [one for one in current if not one.green]
    if red:
        return Standing(place, "broken", f"{', '.join(red[0].red)} red{_when(red[0])}", f"fix it, then {fix}")
    if current:
        where = f", {current[0].gpu}" if current[0].gpu else ""
        return Standing(place, "proven", f"{current[0].score} gates green{where}{_when(current[0])}")
    unhooked = table.unhooked_models(place.release, place.device)
    if unhooked and place.runner != "v1" and not _green_elsewhere(table, place, tree):
        why = f"no hook fires, for vLLM runs {', '.join(unhooked)} there with classes that the runtime does not hook"
        where = f" (`patchkit drift --vllm {place.release}` says why)"
        return Standing(place, "broken", why + where, f"set {VARIABLE}=0, which brings the first back")
    if known:
        why = f"the gates were green on other files{_when(known[0])}"
        return Standing(place, "unknown", why, f"{fix}, or `patchkit prove` if only comments differ")
    return Standing(place, "unknown", f"no gate was run{_unread(table, place)}", fix)


def elsewhere(table: ProvenTable, place: Place, tree: str, named: str = "") -> list[Standing]:
    """The places that vLLM chooses by itself and that are known not to work, besides the one that was asked for."""
    usual = [Place(place.release, usual_runner(place.release, device), device) for device in ("cpu", "cuda")]
    found = [standing(table, one, tree, named) for one in usual if one != place]
    return [one for one in found if one.state == "broken"]


def _green_elsewhere(table: ProvenTable, place: Place, tree: str) -> bool:
    """Whether the hooks fired with this model runner on another device, whatever was read off the sources."""
    known = [one for device in ("cpu", "cuda") for one in table.of(place.release, place.runner, device)]
    return any(one.green and one.tree == tree for one in known)


def _when(proof: Proof) -> str:
    return f" on {proof.date} ({proof.evidence})"


def _unread(table: ProvenTable, place: Place) -> str:
    if not table.drift_read or Version(place.release) <= Version(table.drift_read):
        return ""
    return f", and what changed since {table.drift_read} was not read: `patchkit drift --vllm {place.release}`"
