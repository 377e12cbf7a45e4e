"""``patchkit install`` and ``uninstall``: the patched tree as a package of the user's own interpreter."""

from __future__ import annotations

from pathlib import Path

from patchkit.console import out
from patchkit.environments.borrowed import check, vllm_found
from patchkit.environments.uv import uv
from patchkit.project import find_project
from patchkit.release import release_name
from patchkit.series.entry_points import declared
from patchkit.series.manifest import load_manifest
from patchkit.series.worktree import patched_tree
from patchkit.verbs.latest import release_for
from patchkit.verbs.serve import plugin_of


def install(release: str, runtime: str, python: Path) -> int:
    """Lay the tree out and install it where ``python`` finds it.

    Raises:
        PatchkitError: the interpreter has another vLLM, or vLLM ``release`` does not start the runtime itself.
    """
    release = release_for(release, runtime)
    python = check(python, release_name(release))
    tree = patched_tree(find_project(), runtime, release)
    plugin, package = plugin_of(tree), declared(tree.path)["name"]
    arguments = ["pip", "install", "--python", python, "--no-deps", "--reinstall-package", package, tree.path]
    uv(arguments, f"cannot install {package} into {python}")
    needs = " ".join(["", *plugin.needed(tree.release)])
    out.print(f"installed {package} for vLLM {tree.release} into {python}", markup=False, soft_wrap=True)
    out.print(f"on:   {plugin.variable}=1 vllm serve MODEL{needs}", markup=False)
    out.print(f"off:  unset {plugin.variable}; vLLM is then untouched", markup=False)
    out.print(f"gone: patchkit uninstall --python {python}", markup=False, soft_wrap=True)
    return 0


def uninstall(runtime: str, python: Path) -> int:
    """Take the runtime's package out of an interpreter.

    Raises:
        PatchkitError: there is no such interpreter, or it cannot be written.
    """
    vllm_found(python)
    package = load_manifest(find_project(), runtime).package
    said = uv(["pip", "uninstall", "--python", python, package], f"cannot uninstall {package} from {python}")
    gone = "Uninstalled" in said
    out.print(f"{'uninstalled' if gone else 'there was no'} {package} in {python}", markup=False, soft_wrap=True)
    return 0
