"""``patchkit serve``: vLLM's own server on a proven release, with the patched runtime in each of its processes."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from packaging.specifiers import SpecifierSet

from patchkit.console import err
from patchkit.documents import key_values
from patchkit.environments import ensure_model
from patchkit.environments.environment import Environment, ensure, obtainable
from patchkit.errors import PatchkitError
from patchkit.gates.measurement_allowed import admit
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.proof.standing import Place, standing
from patchkit.series import Tree
from patchkit.series.entry_points import metadata_of
from patchkit.series.manifest import Plugin
from patchkit.verbs.latest import release_for

OURS_ALONE = ("VLLM_ENABLE_V1_MULTIPROCESSING",)
"""Of a worker's variables, what a server must not have: its engine has a process of its own."""

ON_CPU = {"--dtype": ["float32"], "--enforce-eager": []}
"""Options that the user has not given: bfloat16 is slow on a CPU without AVX-512, and there compiling takes long."""


@dataclass(frozen=True)
class ServeOptions:
    """The options of ``patchkit serve``, in the words of the command line."""

    release: str
    runtime: str
    model: str
    arguments: tuple[str, ...]
    settings: tuple[str, ...]
    device: str
    runner: ModelRunner
    python: Path | None
    unproven: bool


def serve(options: ServeOptions) -> NoReturn:
    """Become ``vllm serve``.

    Raises:
        PatchkitError: the series makes no plugin for the release, or was not proven on it; bad settings, or no model.
    """
    settings = key_values(options.settings, "--setting")
    release = release_for(options.release, options.runtime, options.runner, options.device)
    workspace = Workspace(
        Settings(find_project(), options.runtime, release, options.device, options.python, runner=options.runner)
    )
    obtainable(workspace.settings.release, options.device, options.python, options.runner)
    tree = workspace.tree
    plugin = plugin_of(tree)
    metadata = metadata_of(tree)
    unproven = missing_proof(workspace, options.unproven)
    model = str(ensure_model(options.model))
    environment = ensure(workspace.settings.release, options.device, options.python, options.runner)
    command = command_of(environment, model, plugin, options)
    eager = "--enforce-eager" in command
    variables = variables_of(environment, tree, metadata, plugin, settings, Path(model).is_dir(), eager)
    say(tree, plugin, variables, command, unproven)
    os.execve(environment.python, command, variables)


def plugin_of(tree: Tree) -> Plugin:
    """How vLLM starts the runtime of a tree.

    Raises:
        PatchkitError: it does not, in this release or in any.
    """
    plugin = tree.runtime.plugin
    if plugin is None:
        path = tree.runtime.folder / "runtime.yaml"
        raise PatchkitError(
            f"{tree.runtime.name} is not started by vLLM itself: it has no `plugin` in {path}",
            "give it an entry point, and declare it; see CONTRIBUTING.md",
        )
    if not holds(plugin, tree.release):
        raise PatchkitError(
            f"{tree.runtime.name} is in every process of vLLM {plugin.releases}, not of {tree.release}",
            "choose such a release",
        )
    return plugin


def holds(plugin: Plugin, release: str) -> bool:
    """Whether vLLM ``release`` starts the runtime itself."""
    return SpecifierSet(plugin.releases).contains(release, prereleases=True)


def missing_proof(workspace: Workspace, unproven: bool) -> str:
    """Why the tree is not proven on the release, device and runner, "" if it is: by the table, or by gates run here.

    Raises:
        PatchkitError: it is not, and nobody said that it need not be.
    """
    settings, tree = workspace.settings, workspace.tree
    place = Place(settings.release, settings.runner, settings.device)
    named = f" --runtime {settings.runtime}" if len(settings.project.runtimes()) > 1 else ""
    known = standing(tree.runtime.table, place, tree.hash, named)
    if known.state == "proven":
        return ""
    try:
        admit(workspace)
    except PatchkitError:
        what = f"not proven on vLLM {settings.release} {place}: {known.why}"
        if not unproven:
            raise PatchkitError(what, f"{known.fix}, or say --unproven before the model") from None
        return what
    return ""


def command_of(environment: Environment, model: str, plugin: Plugin, options: ServeOptions) -> list[str]:
    """``vllm serve`` with everything that was given, and what the runtime and the device need beside it."""
    given = options.arguments
    needed: dict[str, list[str]] = {name: [] for name in plugin.needed(environment.release)}
    if options.device == "cpu":
        needed |= ON_CPU
    added = [word for name, values in needed.items() if not is_given(name, given) for word in (name, *values)]
    return [str(environment.python), "-m", "vllm.entrypoints.cli.main", "serve", model, *given, *added]


def is_given(name: str, arguments: Sequence[str]) -> bool:
    """Whether the option ``--name`` is among them, as ``--name``, ``--name=value`` or ``--no-name``."""
    names = (name, name.replace("--", "--no-", 1))
    return any(one in names or one.startswith(f"{name}=") for one in arguments)


def variables_of(
    environment: Environment,
    tree: Tree,
    metadata: Path,
    plugin: Plugin,
    settings: dict[str, Any],
    local: bool,
    eager: bool,
) -> dict[str, str]:
    """The environment's variables under the user's own, and the runtime switched on in every process."""
    ours = {name: value for name, value in environment.variables.items() if name not in OURS_ALONE}
    if not local:
        ours.pop("HF_HUB_OFFLINE", None)  # vLLM fetches the model
    if not eager:
        ours.pop("TORCHDYNAMO_DISABLE", None)  # with it vLLM compiles nothing, and does not say so
    path = [str(tree.path), str(metadata), os.environ.get("PYTHONPATH", "")]
    return {
        **ours,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
        plugin.variable: json.dumps({**tree.runtime.defaults, **settings}),
    }


def say(tree: Tree, plugin: Plugin, variables: dict[str, str], command: Sequence[str], unproven: str) -> None:
    """What is about to run; the server's own log follows."""
    patched = f"{tree.runtime.name} {tree.pin[:12]} + {len(tree.taken)} patches"
    err.print(f"serve  vLLM {tree.release}, {patched}, {plugin.variable}={variables[plugin.variable]}", markup=False)
    if unproven:
        err.print(f"warning: unproven: {unproven}", markup=False)
    err.print(f"vllm {shlex.join(command[3:])}", markup=False, soft_wrap=True)
    sys.stderr.flush()
    sys.stdout.flush()
