"""The pytest plugin: every scenario is an item; ``pytest -k decode_shrink`` and ``patchkit gate`` run the same thing.

It is loaded wherever patchkit is installed, so it imports nothing heavy until a scenario is collected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from patchkit.gates.evidence import Verdict
    from patchkit.gates.rig import Rig
    from patchkit.gates.sitting import Sitting

SITTING: pytest.StashKey[Sitting] = pytest.StashKey()


class Hooks:
    """What others may listen to."""

    def pytest_patchkit_verdict(self, verdict: Verdict) -> None:
        """A scenario was judged."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Announce our hook."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which vLLM, on what, with which runtime."""
    group = parser.getgroup("patchkit", "scenarios on a patched runtime inside real vLLM")
    group.addoption(
        "--vllm",
        metavar="RELEASE",
        help="vLLM release (default: $PATCHKIT_VLLM, else the newest proven one, if possible one that is built).",
    )
    group.addoption("--device", choices=["cpu", "cuda"], default="cpu", help="Where vLLM runs (default: cpu).")
    group.addoption("--runtime", metavar="NAME", help="Runtime under patches/ (default: the only one).")
    group.addoption("--python", metavar="PATH", help="Interpreter that already has vLLM; no environment is built.")
    group.addoption("--model", metavar="PATH_OR_HUB_ID", help="Run on this model instead of the embedded ones.")
    group.addoption(
        "--without", action="append", default=[], metavar="PATCH", help="Leave this patch out (repeatable)."
    )
    group.addoption("--scenario-workers", type=int, metavar="N", help="Scenarios that run at once, without xdist.")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; on a GPU, keep the items of one card on one xdist worker."""
    config.addinivalue_line("markers", "gate: a scenario that must pass.")
    config.addinivalue_line("markers", "benchmark: a scenario that measures; it runs only after every gate has passed.")
    if config.getoption("--device") == "cuda" and config.getoption("dist", "no") == "load":
        config.option.dist = "loadgroup"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect our scenarios and nobody else's YAML."""
    if file_path.suffix != ".yaml":
        return None
    from patchkit.gates.items import ScenarioFile, is_scenario_file

    if not is_scenario_file(file_path, explicit=parent.session.isinitpath(file_path)):
        return None
    file: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gates in their order, then benchmarks, in the places that scenarios had among the other tests."""
    if any(hasattr(item, "scenario") for item in items):
        from patchkit.gates.items import in_order

        items[:] = in_order(config, items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the worker."""
    sitting = session.config.stash.get(SITTING, None)
    if sitting is not None:
        sitting.close()


def sitting_of(config: pytest.Config) -> Sitting:
    """This session's rig and what was judged on it so far, made when first asked for."""
    if SITTING not in config.stash:
        from patchkit.gates.sitting import Sitting

        config.stash[SITTING] = Sitting.of(config)
    return config.stash[SITTING]


def runtime_of(config: pytest.Config) -> str:
    """The runtime of this session: the one that was named, or the project's only one."""
    from patchkit.project import find_project

    if SITTING in config.stash:
        return config.stash[SITTING].rig.settings.runtime
    return config.getoption("--runtime") or find_project(config.rootpath).only_runtime()


@pytest.fixture(scope="session")
def patched_runtime(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The rig: ``.tree`` is the patched runtime, ``.environment`` the interpreter with vLLM it runs in."""
    rig = sitting_of(request.config).rig
    _ = rig.environment, rig.tree
    yield rig


@pytest.fixture(scope="session")
def run_scenario(patched_runtime: Rig) -> Callable[[str | Path | dict[str, Any]], Verdict]:
    """Run a scenario (a path, the name of one in ``scenarios/``, or a mapping) and return its verdict."""
    from patchkit.gates.invariants.own import own_invariants
    from patchkit.gates.loading import load_scenarios
    from patchkit.gates.scenario import load_scenario, select

    settings = patched_runtime.settings

    def run(source: str | Path | dict[str, Any]) -> Verdict:
        if isinstance(source, str) and not source.endswith((".yaml", ".yml")) and os.sep not in source:
            known = load_scenarios(settings.project, settings.runtime)
            kind = known[source].kind if source in known else "gate"
            return patched_runtime.run(select(known, kind, [source])[0])
        own = own_invariants(settings.project.patches / settings.runtime / "gates")
        return patched_runtime.run(load_scenario(Path(source) if isinstance(source, str) else source, own))

    return run
