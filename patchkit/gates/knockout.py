"""Knock-outs: the series without one patch at a time. A gate that stays green without one proves nothing.

Every gate is run without every patch: only then does it show that a release no longer needs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Brief, Knockout, Verdict
from patchkit.gates.patch_needed import UNKNOWN, Need, need_of
from patchkit.gates.runner import Runner
from patchkit.gates.scenario import Scenario
from patchkit.model_runner import NAMES, runner_of

if TYPE_CHECKING:
    from patchkit.series import Patch

WHOLE = ""  # in place of a patch's name: nothing is left out


class KnockoutRun:
    """Every gate on the whole series and on the series without each patch: one warm worker."""

    def __init__(
        self, runner: Runner, gates: Sequence[Scenario], chosen: Sequence[str] = (), not_selected: int = 0
    ) -> None:
        """Lay out the trees.

        Args:
            chosen: the patches to leave out, by number or name; all of them if empty.
            not_selected: how many gates of the runtime are not among ``gates``.
        """
        self.gates = list(gates)
        self._runner, self._not_selected = runner, not_selected
        workspace = runner.workspace
        ours = self._of_this_runner(list(workspace.tree.taken))
        self._refuse_others(chosen)
        self.patches = choose(ours, chosen)
        self.left_with = {patch.name: dependents(patch.name, workspace.tree.taken) for patch in self.patches}
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self._unlaid: dict[str, str] = {}
        self._trees = {WHOLE: workspace.tree}
        for patch in self.patches:
            try:
                self._trees[patch.name] = workspace.tree_without([patch.name, *self.left_with[patch.name]])
            except PatchkitError as error:
                self._unlaid[patch.name] = f"it cannot be left out: {error.what}"

    def _of_this_runner(self, patches: list[Patch]) -> list[Patch]:
        """Those that can be missed here: what is of the other model runner alone is never reached."""
        settings = self._runner.workspace.settings
        other = {patch.name: runner_of(patch.symbols) for patch in patches}
        self.other_runners = {
            name: f"of the {NAMES[runner]} alone: see it with --runner {runner}"
            for name, runner in other.items()
            if runner not in (None, settings.runner)
        }
        return [patch for patch in patches if patch.name not in self.other_runners]

    def _refuse_others(self, chosen: Sequence[str]) -> None:
        """A patch of the other model runner was asked for by name or number."""
        for name, why in self.other_runners.items():
            if {name, f"{name}.patch", name[:4], name[:4].lstrip("0")} & {*chosen}:
                raise PatchkitError(f"nothing here can miss patch {name[:4]}", why)

    def run(self) -> Iterator[tuple[str, Verdict]]:
        """Judge every cell of the matrix, some at once; the whole series first, since all else is compared with it.

        Yields the name of the patch that was left out, or :data:`WHOLE`, and the verdict, as it is known.
        """
        for batch in (self._control_cells(), self._cells()):
            for (left_out, gate), verdict in self._runner.side_by_side(self._judge, batch):
                self.verdicts[left_out, gate.name] = verdict
                yield left_out, verdict

    @property
    def cells(self) -> int:
        """How many verdicts there will be."""
        return len(self._trees) * len(self.gates)

    def control(self) -> list[Verdict]:
        """The verdicts on the whole series."""
        return [self.verdicts[WHOLE, gate.name] for gate in self.gates if (WHOLE, gate.name) in self.verdicts]

    def knockouts(self) -> list[Knockout]:
        """The result for every patch."""
        return [self._knockout(patch) for patch in self.patches]

    def _control_cells(self) -> list[tuple[str, Scenario]]:
        """Those that may take longest first, so that no worker waits for one that began last."""
        return [(WHOLE, gate) for gate in sorted(self.gates, key=lambda gate: -gate.timeout)]

    def _cells(self) -> Iterator[tuple[str, Scenario]]:
        """First the gates that the headers name, patch by patch; then all others, the longest first."""
        took = {verdict.scenario: verdict.seconds for verdict in self.control()}
        longest_first = sorted(self.gates, key=lambda gate: -took.get(gate.name, 0.0))
        named = {patch.name: {scenario for scenario, _ in patch.caught_by} for patch in self.patches}
        patches = [patch for patch in self.patches if patch.name not in self._unlaid]
        for patch in patches:
            yield from ((patch.name, gate) for gate in self.gates if gate.name in named[patch.name])
        for gate in longest_first:
            yield from ((patch.name, gate) for patch in patches if gate.name not in named[patch.name])

    def _judge(self, cell: tuple[str, Scenario]) -> Verdict:
        left_out, gate = cell
        return self._runner.run_until_red(gate, self._trees[left_out])

    def _briefs(self, left_out: str) -> dict[str, Brief]:
        found = {gate.name: self.verdicts.get((left_out, gate.name)) for gate in self.gates}
        return {name: Brief(passed=one.passed, reason=one.reason) for name, one in found.items() if one}

    def _knockout(self, patch: Patch) -> Knockout:
        """Caught if a gate that the header names is red and says what the header says."""
        knocked = Knockout(
            patch=patch.name,
            caught=False,
            drift=patch.drift,
            expected="; ".join(f"{scenario}: {symptom.pattern}" for scenario, symptom in patch.caught_by),
            named=list(dict.fromkeys(scenario for scenario, _ in patch.caught_by)),
            seconds=round(sum(one.seconds for (name, _), one in self.verdicts.items() if name == patch.name), 1),
            verdicts=self._briefs(patch.name),
            left_with=self.left_with[patch.name],
            applies_to=f"vllm {patch.applies_to}".strip(),
            tree=self._trees[patch.name].hash if patch.name in self._trees else "",
        )
        knocked.need, knocked.need_why = self._need(patch)
        for scenario, symptom in patch.caught_by:
            if not self._green_whole(scenario):
                continue
            verdict = self.verdicts.get((patch.name, scenario))
            matching = [reason for reason in verdict.reasons if symptom.search(reason)] if verdict else []
            if verdict and not verdict.passed and matching:
                knocked.caught, knocked.by, knocked.reason = True, scenario, matching[0]
                return knocked
        knocked.reason = "; ".join(self._why_not(patch))
        return knocked

    def _need(self, patch: Patch) -> Need:
        if patch.name in self._unlaid:
            return Need(UNKNOWN, self._unlaid[patch.name])
        whole, without = (
            {gate: brief.passed for gate, brief in self._briefs(name).items()} for name in (WHOLE, patch.name)
        )
        return need_of(whole, without, [gate.name for gate in self.gates], self._not_selected)

    def _green_whole(self, scenario: str) -> bool:
        """A gate that is red anyway catches nothing."""
        verdict = self.verdicts.get((WHOLE, scenario))
        return verdict is not None and verdict.passed

    def _why_not(self, patch: Patch) -> Iterator[str]:
        if patch.name in self._unlaid:
            yield self._unlaid[patch.name]
            return
        for scenario, symptom in patch.caught_by:
            verdict = self.verdicts.get((patch.name, scenario))
            if verdict is not None and not self._green_whole(scenario):
                yield f"{scenario} is red with the whole series already"
            elif verdict is None:
                yield f"{scenario} was not run"
            elif verdict.passed:
                yield f"{scenario} is green"
            else:
                yield f"{scenario} is red for another reason than {symptom.pattern!r}: {verdict.reason}"


def dependents(name: str, patches: Sequence[Patch]) -> list[str]:
    """Patches that need another one, directly or not, in the order of the series."""
    found = {name}
    for patch in patches:  # what a patch depends on comes before it
        if found & {*patch.depends}:
            found.add(patch.name)
    return [patch.name for patch in patches if patch.name in found and patch.name != name]


def choose(patches: list[Patch], chosen: Sequence[str]) -> list[Patch]:
    """The patches a user named by number or name, or all of them."""
    if not patches:
        raise PatchkitError("no patch is taken for this release: there is nothing to knock out")
    found: list[Patch] = []
    for selector in chosen:
        bare = selector.removesuffix(".patch")
        match = [patch for patch in patches if bare == patch.name or (bare.isdigit() and int(bare) == patch.number)]
        if not match:
            named = ", ".join(patch.name for patch in patches)
            raise PatchkitError(f"no patch {selector!r} is taken for this release", f"there are {named}")
        found += match
    return [patch for patch in patches if not chosen or patch in found]
