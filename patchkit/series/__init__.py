"""What is applied: a pinned upstream and an ordered series of patches, chosen for one vLLM release."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchkit.series.manifest import Manifest, load_manifest
    from patchkit.series.patch import Catch, Patch
    from patchkit.series.series import PatchChoice, Series
    from patchkit.series.worktree import Tree, patched_tree

__all__ = ["Catch", "Manifest", "Patch", "PatchChoice", "Series", "Tree", "load_manifest", "patched_tree"]

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # GitPython must not raise at import where git is missing


def __getattr__(name: str) -> Any:
    """Import a name's module on first use, so that reading a manifest does not import git."""
    for module in ("patch", "manifest", "series", "worktree") if name in __all__ else ():
        found = importlib.import_module(f"{__name__}.{module}")
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
