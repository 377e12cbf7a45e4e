"""One running vLLM server: samples of a prompt, the runtime's settings for a request, and its counters."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from patchkit.client.limits import Limits, Pace
from patchkit.client.requests import ServerError, post_json, read_json, tried
from patchkit.errors import PatchkitError

if TYPE_CHECKING:
    from openai import OpenAI

Messages = Sequence[Mapping[str, Any]]
Settings = Mapping[str, str | int | float | bool]

SHORT = 30.0  # seconds for a question about the server itself
TAKEN = ("model", "n", "seed", "max_tokens", "messages", "prompt", "stream", "vllm_xargs")


@dataclass(frozen=True)
class Completion:
    """One sample of a prompt.

    Attributes:
        text: without the prompt.
        tokens: how many were generated; None where the server does not say it of each sample.
        finish: ``stop``, ``length``, or another word of the server.
        seed: what it was drawn with: that of the request plus its number; None without one.
    """

    text: str
    tokens: int | None
    finish: str | None
    seed: int | None


@dataclass(frozen=True)
class ServedModel:
    """A model as the server lists it.

    Attributes:
        name: what a request calls it.
        root: what it was loaded from, as the server says; "" if it does not.
    """

    name: str
    root: str = ""


class VLLMClient:
    """A client of one server; one serves many threads.

    >>> client = VLLMClient("http://localhost:8000")
    >>> client.sample("The capital of France is", n=4, seed=0, max_tokens=8, temperature=0.8)

    Args:
        url: of the server, with or without ``/v1``.
        model: the name under which it is served; the only one if not given.
        api_key: the environment variable OPENAI_API_KEY, or none, if not given.
        runtime: settings of the runtime that every request carries, as flat keys (``vllm_xargs``).
        counters: the method by which ``collective_rpc`` tells the runtime's counters, for which the server must have
            been started with VLLM_SERVER_DEV_MODE=1; or a path, if it begins with a slash; "" if nothing tells them.
        limits: how much it asks of the server.

    Attributes:
        url: of the server, without ``/v1`` and without credentials.
        repeated: requests that were sent again after they had failed in passing.

    Raises:
        PatchkitError: the URL is none, or the package ``openai`` is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str | None = None,
        runtime: Settings | None = None,
        counters: str = "",
        limits: Limits | None = None,
    ) -> None:
        root = server_root(url)
        self.url, self.runtime, self.limits = without_credentials(root), dict(runtime or {}), limits or Limits()
        self.repeated = 0
        self._root, self._model, self._key, self._counters = root, model, api_key, counters
        self._pace, self._lock = Pace(self.limits.per_minute), threading.Lock()
        self._openai = _openai(f"{root}/v1", api_key)

    def with_runtime(self, **settings: str | int | float | bool) -> VLLMClient:
        """A client of the same server whose every request carries these settings too: another mode of it."""
        return VLLMClient(
            self._root,
            model=self._model,
            api_key=self._key,
            runtime={**self.runtime, **settings},
            counters=self._counters,
            limits=self.limits,
        )

    # About the server.

    def version(self) -> str:
        """The server's vLLM, e.g. ``0.20.0``; "" if it does not say.

        Raises:
            ServerError: nothing answers.
        """
        found = self._get("/version")
        said = found.get("version") if isinstance(found, dict) else None
        return said if isinstance(said, str) else ""

    def served(self) -> ServedModel:
        """The model that is asked.

        Raises:
            PatchkitError: the server has another, or several and none was named.
        """
        found = self._get("/v1/models")
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise PatchkitError(f"{self.url}: there is no OpenAI server: it lists no models", "check the URL")
        models = [ServedModel(str(one["id"]), str(one.get("root") or "")) for one in listed if isinstance(one, dict)]
        names = ", ".join(one.name for one in models) or "none"
        fitting = [one for one in models if self._model in ("", one.name)]
        if not fitting:
            raise PatchkitError(f"{self.url} serves no model {self._model}, only {names}", "name one that it serves")
        if len(fitting) > 1:
            raise PatchkitError(f"{self.url} serves several models: {names}", "name one of them as the model")
        self._model = fitting[0].name
        return fitting[0]

    @property
    def model(self) -> str:
        """The name of the model that is asked; asks the server for it if it was not given."""
        return self._model or self.served().name

    def counters(self) -> dict[str, Any] | None:
        """The runtime's counters since the server began, over all workers; None if the server tells none.

        Numbers are added up; of anything else the first worker's is taken.

        Raises:
            ServerError: nothing answers.
        """
        if not self._counters:
            return None
        if self._counters.startswith("/"):
            return merged([self._get(self._counters)])
        url, body = f"{self._root}/collective_rpc", {"method": self._counters}
        found = self._tried(lambda: post_json(self._openai, url, body, SHORT))
        return merged(found.get("results") if isinstance(found, dict) else None)

    # Sampling.

    def sample(
        self,
        prompt: str | Messages,
        n: int = 1,
        *,
        seed: int | None = None,
        max_tokens: int = 256,
        runtime: Settings | None = None,
        **sampling: Any,
    ) -> list[Completion]:
        """``n`` samples of one prompt, from one request.

        Args:
            prompt: a text, which the model continues; or messages, ``[{"role": "user", "content": "…"}]``, which are
                put into its chat template.
            seed: sample i is drawn with seed + i, as in ``vllm.LLM``.
            max_tokens: of each sample.
            runtime: settings of the runtime for this request, over those of the client, as flat keys.
            sampling: any other parameter of vLLM's server: temperature, top_p, top_k, min_p, stop, … What is not
                given is as the server has it by default.

        Raises:
            ServerError: no answer, after all retries; or one that is not as it should be.
            PatchkitError: the server refuses the request, and says why.
        """
        taken = [name for name in TAKEN if name in sampling]
        if taken:
            raise PatchkitError(f"{taken[0]} is no sampling parameter here", "use the argument that there is for it")
        body = {**sampling, "return_token_ids": True}
        settings = {**self.runtime, **(runtime or {})}
        if settings:
            body["vllm_xargs"] = settings
        create: Any = self._openai.completions if isinstance(prompt, str) else self._openai.chat.completions
        place = {"prompt": prompt} if isinstance(prompt, str) else {"messages": list(prompt)}
        asked = {"model": self.model, "n": n, "max_tokens": max_tokens, **place}
        if seed is not None:
            asked["seed"] = seed
        answer = self._tried(lambda: create.create(**asked, extra_body=body, timeout=self.limits.timeout))
        choices = sorted(answer.choices or [], key=lambda one: one.index)
        if [one.index for one in choices] != list(range(n)):
            raise ServerError(f"{self.url}: {len(choices)} of {n} samples came back", "see the server's log")
        total = answer.usage.completion_tokens if answer.usage and n == 1 else None
        return [_completion(one, total, seed) for one in choices]

    def close(self) -> None:
        """Close its connections."""
        self._openai.close()

    def __enter__(self) -> VLLMClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Requests.

    def _get(self, path: str) -> Any:
        """The JSON at a path of the server; None if it has no such path."""
        return self._tried(lambda: read_json(self._openai, f"{self._root}{path}", SHORT))

    def _tried(self, ask: Any) -> Any:
        def again() -> None:
            with self._lock:
                self.repeated += 1

        return tried(ask, self.url, self.limits.retries, self._pace, again)


def _completion(choice: Any, total: int | None, seed: int | None) -> Completion:
    text = choice.text if hasattr(choice, "text") else choice.message.content
    ids = (choice.model_extra or {}).get("token_ids")
    return Completion(
        text=text or "",
        tokens=len(ids) if isinstance(ids, list) else total,
        finish=choice.finish_reason,
        seed=None if seed is None else seed + choice.index,
    )


def merged(workers: Any) -> dict[str, Any] | None:
    """The counters of several workers as one; None unless each is a mapping, and there is one."""
    if not isinstance(workers, list) or not workers or not all(isinstance(one, dict) for one in workers):
        return None
    first, *others = workers
    return {
        name: sum((one.get(name, 0) for one in others), value) if _is_number(value) else value
        for name, value in first.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def server_root(url: str) -> str:
    """A server's URL without ``/v1`` and without what follows a question mark.

    Raises:
        PatchkitError: it is none of http or https.
    """
    try:
        parts = urlsplit(url.strip())
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        found = False
    if not found:
        raise PatchkitError(f"{url!r} is no URL of a server", "write it as http://localhost:8000")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def without_credentials(url: str) -> str:
    """A URL that can stand in messages and evidence."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _openai(url: str, api_key: str | None) -> OpenAI:
    try:
        from openai import OpenAI
    except ImportError:
        raise PatchkitError(
            "a server is asked with the package openai, which is missing here",
            "install patchkit again, which brings it, or that package alone",
        ) from None
    key = api_key or os.environ.get("OPENAI_API_KEY") or "none"  # the client insists on one; vLLM asks for none
    return OpenAI(base_url=url, api_key=key, max_retries=0)  # retries are ours: they keep to the pace
