"""Samples through a server: what it does not say of itself is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.specifiers import SpecifierSet

from patchkit.bench.accuracy import LoadedTask, drawn
from patchkit.bench.accuracy_evidence import ServerUsed
from patchkit.bench.journal import DrawPlan
from patchkit.bench.liveness import Liveness
from patchkit.bench.plan import Plan
from patchkit.bench.sampling import DrawRequest
from patchkit.bench.server_liveness import NotObserved, ServedCounters
from patchkit.bench.server_shard import ServerShard
from patchkit.client import VLLMClient
from patchkit.errors import PatchkitError
from patchkit.evals.records import BASELINE
from patchkit.gates.evidence import Hardware, Versions
from patchkit.series.manifest import FigureMinimum, Manifest

UNKNOWN = "unknown"
NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""What ``vllm.SamplingParams`` has by default. A server takes the model's own recommendation for what is not given,
which ``vllm.LLM`` does not: so all of these are given."""


class ServedDrawPlan(DrawPlan, frozen=True, kw_only=True):
    """All that a sample drawn through a server depends on, as far as the server says it.

    Attributes:
        url: of the server.
        root: what it loaded the model from, as it says.
        request: settings of the runtime that every request carries.
    """

    url: str
    root: str
    request: dict[str, Any]


class ServerSource:
    """A server that draws all problems, as many at once as the client's limits say."""

    def __init__(self, plan: Plan, client: VLLMClient, runtime: Manifest) -> None:
        self._plan, self._client, self._runtime = plan, client, runtime
        self._model, self._version = client.served(), client.version()
        self._counters = plan.all_modes != [BASELINE] and client.counters() is not None
        self.requests = {mode: request_of(runtime, plan, mode) for mode in plan.all_modes}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the plan sets in every mode; the server's own defaults are unknown."""
        return self._plan.settings

    @property
    def figures(self) -> Sequence[FigureMinimum]:
        """What a verdict needs of the runtime's probe, which does not look into a server."""
        return self._runtime.figures if len(self._plan.all_modes) > 1 else []

    def draw_plan(self, model: str, loaded: LoadedTask, mode: str, trial: int) -> ServedDrawPlan:
        """The server, its model and vLLM, and what it is asked; its hardware and its tree are unknown."""
        return ServedDrawPlan(
            release=self._version or UNKNOWN,
            device=UNKNOWN,
            hardware=Hardware(),
            versions=Versions(vllm=self._version),
            **drawn(self._plan, model, loaded, mode, trial),
            model_digest="",
            sampling=self._sampling,
            engine={},
            settings=self._plan.settings_of(mode),
            url=self._client.url,
            root=self._model.root,
            request=self.requests[mode],
        )

    def request(self, model: str, loaded: LoadedTask, mode: str) -> DrawRequest:
        """What the server is asked, and what its counters must be if it tells any."""
        spec = {
            "patched": mode != BASELINE,
            "n": self._plan.n,
            "max_tokens": loaded.max_tokens,
            "sampling": self._sampling,
            "runtime": self.requests[mode],
        }
        required = {name: one.must_be for name, one in self._runtime.counters.items()}
        shard = ServerShard(self._client)
        return DrawRequest({"draw": spec}, [shard], self._liveness(mode, required))

    @property
    def _sampling(self) -> dict[str, Any]:
        return {**NEUTRAL, **self._plan.sampling}

    def _liveness(self, mode: str, required: Mapping[str, str]) -> Liveness:
        if mode == BASELINE or not self._counters:
            return NotObserved()
        return ServedCounters(required, self._runtime.idle_with(self._plan.settings_of(mode)))

    def used(self) -> ServerUsed:
        """The server as evidence records it."""
        limits = self._client.limits
        return ServerUsed(
            url=self._client.url,
            model=self._model.name,
            version=self._version,
            requests=self.requests,
            concurrency=limits.concurrency,
            timeout=limits.timeout,
            retries=limits.retries,
            per_minute=limits.per_minute,
            repeated=self._client.repeated,
        )


def request_of(runtime: Manifest, plan: Plan, mode: str) -> dict[str, Any]:
    """What a request of a mode says of the runtime: the switch, and its settings.

    Raises:
        PatchkitError: the runtime cannot be in this server, cannot be chosen per request, or a setting of it cannot.
    """
    served, plugin, place = runtime.served, runtime.plugin, runtime.folder / "runtime.yaml"
    if mode == BASELINE:
        return dict(served.off) if served else {}
    if served is None:
        raise PatchkitError(
            f"{runtime.name} cannot be switched on per request: {place} has no `served`",
            "declare it there, or draw --modes baseline alone",
        )
    if plugin and plan.vllm != UNKNOWN and not SpecifierSet(plugin.releases).contains(plan.vllm, prereleases=True):
        raise PatchkitError(
            f"the server has vLLM {plan.vllm}, and {runtime.name} is in every process of vLLM {plugin.releases} only",
            "serve with such a release, or draw --modes baseline alone",
        )
    request = dict(served.on)
    for name, value in plan.settings_of(mode).items():
        if name not in served.settings:
            known = ", ".join(served.settings) or "none"
            raise PatchkitError(
                f"{runtime.name}: {name} cannot be set per request, only {known}", "start the server with it instead"
            )
        request[served.settings[name]] = value
    return request
