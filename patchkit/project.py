"""Where things are: the patches and scenarios in use, the state beside them, and the user's cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from patchkit.errors import PatchkitError

CHECKOUT = Path(__file__).resolve().parent.parent
BUNDLED = Path(__file__).parent / "data"
"""Copies of ``patches/`` and ``scenarios/`` in an installed patchkit."""


@dataclass(frozen=True)
class Project:
    """A folder with ``patches/``, and with ``scenarios/`` unless patchkit's own are to be used.

    ``state`` holds what patchkit writes for it (safe to delete).
    """

    root: Path
    state: Path

    @property
    def patches(self) -> Path:
        return self.root / "patches"

    @property
    def scenarios(self) -> Path:
        """The shared scenarios: the project's own, else patchkit's."""
        own = self.root / "scenarios"
        shipped = (folder / "scenarios" for folder in (BUNDLED, CHECKOUT))
        return next((folder for folder in (own, *shipped) if folder.is_dir()), own)

    def runtimes(self) -> list[str]:
        """Names of the runtimes that have a manifest, sorted."""
        return sorted(manifest.parent.name for manifest in self.patches.glob("*/runtime.yaml"))

    def only_runtime(self) -> str:
        """The runtime that is meant where none is named: the only one.

        Raises:
            PatchkitError: there is none, or there are several.
        """
        names = self.runtimes()
        if not names:
            raise PatchkitError(f"no runtime in {self.patches}", "a runtime is a folder with a runtime.yaml")
        if len(names) > 1:
            raise PatchkitError(f"several runtimes in {self.patches}", f"say --runtime {' or --runtime '.join(names)}")
        return names[0]


def find_project(start: Path | None = None) -> Project:
    """The project that ``start`` lies in, else the one that patchkit brings: its checkout's, or the bundled copy."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, CHECKOUT):
        if is_project(folder):
            return Project(folder, folder / ".patchkit")
    if (BUNDLED / "patches").is_dir():
        return Project(BUNDLED, here / ".patchkit")
    raise PatchkitError(f"no project at or above {here}", "run patchkit where `patches/NAME/runtime.yaml` is")


def is_project(folder: Path) -> bool:
    """Whether a folder has a runtime under ``patches/``, or ``patches/`` beside ``scenarios/``."""
    patches = folder / "patches"
    return patches.is_dir() and ((folder / "scenarios").is_dir() or any(patches.glob("*/runtime.yaml")))


def cache_home() -> Path:
    """Folder for environments and models, shared between projects: ``$PATCHKIT_HOME`` or the user's cache folder."""
    chosen = os.environ.get("PATCHKIT_HOME")
    return Path(chosen).expanduser().resolve() if chosen else Path(platformdirs.user_cache_dir("patchkit"))
