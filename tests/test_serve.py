"""`patchkit serve`, `install` and `uninstall`: what they refuse, and what they would run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from patchkit.cli import commands
from patchkit.environments.environment import Environment
from patchkit.errors import PatchkitError
from patchkit.series.manifest import Plugin
from patchkit.verbs.serve import ServeOptions, command_of, plugin_of, variables_of

PLUGIN = Plugin(">=0.23.0", "MADE_UP", {"--all": "", "--enforce-eager": "<0.28.0"})


def options(*arguments: str, **changes: Any) -> ServeOptions:
    known: dict[str, Any] = {
        "release": "0.28.0",
        "runtime": "made_up",
        "model": "tiny",
        "arguments": arguments,
        "settings": (),
        "device": "cpu",
        "runner": "v1",
        "python": None,
        "unproven": False,
    }
    return ServeOptions(**known | changes)


def environment(release: str = "0.28.0") -> Environment:
    variables = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    variables |= {"TORCHDYNAMO_DISABLE": "1"}
    return Environment(release, "cpu", Path("/env/bin/python"), variables)


def tree(**changes: Any) -> Any:
    runtime = SimpleNamespace(
        name="made_up", plugin=PLUGIN, defaults={"strength": 1, "size": 2}, folder=Path("/made_up")
    )
    return SimpleNamespace(path=Path("/tree"), release="0.28.0", runtime=runtime, **changes)


def words(command: list[str]) -> list[str]:
    return command[command.index("serve") + 1 :]


def test_what_is_given_is_passed_on_and_what_is_needed_is_added_once() -> None:
    command = command_of(environment(), "/m", PLUGIN, options("--port", "8123"))
    assert command[0] == "/env/bin/python"
    assert words(command) == ["/m", "--port", "8123", "--all", "--dtype", "float32", "--enforce-eager"]
    given = command_of(environment(), "/m", PLUGIN, options("--no-enforce-eager", "--dtype=bfloat16", "--all"))
    assert words(given) == ["/m", "--no-enforce-eager", "--dtype=bfloat16", "--all"]


def test_what_only_some_releases_need_is_added_there() -> None:
    on_cuda = options(device="cuda")
    assert words(command_of(environment("0.27.1"), "/m", PLUGIN, on_cuda)) == ["/m", "--all", "--enforce-eager"]
    assert words(command_of(environment(), "/m", PLUGIN, on_cuda)) == ["/m", "--all"]


def test_the_runtime_is_switched_on_and_the_engine_has_its_own_process(
    monkeypatch: pytest.MonkeyPatch, unset: Callable[[str], None]
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = variables_of(environment(), tree(), Path("/metadata"), PLUGIN, {"strength": 3}, local=True, eager=True)
    assert json.loads(found["MADE_UP"]) == {"strength": 3, "size": 2}
    assert found["PYTHONPATH"] == os.pathsep.join(["/tree", "/metadata", "/mine"])
    assert found["OMP_NUM_THREADS"] == "7", "the user's variables are above patchkit's"
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in found and found["HF_HUB_OFFLINE"] == "1"
    unset("HF_HUB_OFFLINE")
    online = variables_of(environment(), tree(), Path("/metadata"), PLUGIN, {}, local=False, eager=True)
    assert "HF_HUB_OFFLINE" not in online, "vLLM must be able to fetch a model by its id"


def test_a_server_that_is_not_eager_compiles_its_model(unset: Callable[[str], None]) -> None:
    unset("TORCHDYNAMO_DISABLE")
    for eager in (True, False):
        found = variables_of(environment(), tree(), Path("/metadata"), PLUGIN, {}, local=True, eager=eager)
        assert ("TORCHDYNAMO_DISABLE" in found) == eager


def test_a_release_or_a_runtime_that_vllm_does_not_start_is_one_line() -> None:
    with pytest.raises(PatchkitError, match=r"made_up is in every process of vLLM >=0.23.0, not of 0.20.0"):
        plugin_of(SimpleNamespace(release="0.20.0", runtime=tree().runtime))  # type: ignore[arg-type]
    lone = SimpleNamespace(name="lone", plugin=None, folder=Path("/lone"))
    with pytest.raises(PatchkitError, match="lone is not started by vLLM itself"):
        plugin_of(SimpleNamespace(release="0.28.0", runtime=lone))  # type: ignore[arg-type]


def test_an_unproven_tree_is_refused_and_what_helps_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from patchkit.verbs import serve

    table = SimpleNamespace(of=lambda *place: [], unhooked_models=lambda *place: [], drift_read="")
    settings = SimpleNamespace(release="0.28.0", runner="v1", device="cpu", runtime="made_up")
    settings.project = SimpleNamespace(runtimes=lambda: ["made_up"])
    workspace: Any = SimpleNamespace(
        settings=settings, tree=SimpleNamespace(hash="x", runtime=SimpleNamespace(table=table))
    )

    def refuse(_: Any) -> None:
        raise PatchkitError("no benchmark yet")

    monkeypatch.setattr(serve, "admit", refuse)
    with pytest.raises(
        PatchkitError, match=r"not proven on vLLM 0.28.0 on cpu .*run `patchkit gate --vllm 0.28.0`, or say"
    ):
        serve.missing_proof(workspace, unproven=False)
    assert serve.missing_proof(workspace, unproven=True).startswith("not proven on vLLM 0.28.0")
    monkeypatch.setattr(serve, "admit", lambda _: None)
    assert serve.missing_proof(workspace, unproven=False) == "", "gates that were run here are proof as well"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["serve", "--vllm", "0.20.0", "tiny"], "esamp is in every process of vLLM >=0.23.0, not of 0.20.0"),
        (["serve", "--vllm", "0.28.0", "--setting", "beta", "tiny"], "--setting: 'beta' is not KEY=VALUE"),
        (["serve", "--vllm", "0.28.0", "--unproven", "./nowhere"], "there is no model at nowhere"),
        (["install", "--vllm", "0.28.0", "--python", "/nowhere"], "--python /nowhere: there is no such file"),
        (["uninstall", "--python", "/nowhere"], "--python /nowhere: there is no such file"),
    ],
)
def test_bad_input_is_one_line(line: list[str], said: str) -> None:
    result = CliRunner().invoke(commands, line)
    assert isinstance(result.exception, PatchkitError) and said in str(result.exception), result.exception
    assert "\n" not in str(result.exception)
