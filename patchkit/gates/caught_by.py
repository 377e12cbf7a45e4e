"""Checks that the gates named in patch headers exist: a patch is proven only by a gate that fails without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from patchkit.errors import PatchkitError
from patchkit.gates.scenario import Scenario, select

if TYPE_CHECKING:
    from patchkit.project import Project


class NamesGates(Protocol):
    """A patch: its path, and the gates in its header."""

    @property
    def path(self) -> Path: ...
    @property
    def caught_by(self) -> Iterable[tuple[str, object]]: ...


def check_caught_by(project: Project, runtime: str, scenarios: Mapping[str, Scenario]) -> None:
    """Raise if a patch of the runtime's series names a gate that does not exist; reads headers only.

    Raises:
        PatchkitError: one line with the file, the name, and the existing gates.
    """
    from patchkit.series import Series

    folder = project.patches / runtime
    if (folder / "series").is_file():
        check_named(Series.load(folder).patches, scenarios)


def check_named(patches: Iterable[NamesGates], scenarios: Mapping[str, Scenario]) -> None:
    """See :func:`check_caught_by`."""
    gates = [gate.name for gate in select(dict(scenarios))]
    for patch in patches:
        for name, _ in patch.caught_by:
            if name not in gates:
                raise PatchkitError(
                    f"{patch.path}: Caught-By: no gate is named {name!r}",
                    f"name one of {', '.join(gates)}, or write the scenario first",
                )
