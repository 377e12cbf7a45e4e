"""A part with a client: a real server, the real ``openai`` client, and the same seeds in ``LLM()`` with the runtime."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import openai
from patchkit_worker.api_server import HOST, MODEL, ApiServer
from patchkit_worker.channel import Channel
from patchkit_worker.compiled import allow_compilation
from patchkit_worker.engine import is_compiled, make_engine
from patchkit_worker.prompts import PROMPT_SEED_STRIDE, make_texts
from patchkit_worker.runners import check_class, seen
from patchkit_worker.runtime import describe, install
from vllm import LLM, SamplingParams

OF_OPENAI = ("temperature", "top_p", "stop", "logprobs", "presence_penalty", "frequency_penalty")
Seeded = tuple[list[int], int | None]  # token ids of a prompt, and the seed of its first sample
SETTLE_LIMIT = 30.0  # seconds until an engine knows that a client is gone


def run_client(request: dict[str, Any], channel: Channel) -> int:
    """Run the part and send its events; returns the exit code."""
    try:
        channel.send("result", run=request["run"], passes=[], **ClientRun(request).run())
    except Exception as error:  # any failure is reported to the caller
        channel.send("error", run=request["run"], **describe(error, request.get("tree")))
        return 1
    return 0


class ClientRun:
    """One server and the calls of its client, then one engine in this process and the same calls."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request, self._part = request, request["part"]

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        if is_compiled(self._part.get("engine") or {}):
            allow_compilation()
        server = ApiServer(self._request)
        try:
            server.wait_ready()
            loaded = time.monotonic() - began
            client = Client(server)
            exchanges = [self._exchange(server, client, call) for call in self._part["client"]]
            log = server.lines_of(self._request["plugin"]["name"])
            check_runners(server)
        finally:
            server.stop()
        if any(call_is_whole(call) for call in self._part["client"]) and not self._part.get("faults"):
            self._compare(exchanges)
        return {"exchanges": exchanges, "log": log[-40:], "load_seconds": round(loaded, 3), "runners": seen()}

    def _exchange(self, server: ApiServer, client: "Client", call: dict[str, Any]) -> dict[str, Any]:
        before, began = self._counters(server), time.monotonic()
        answer = client.ask(call)
        seconds = time.monotonic() - began
        if call.get("leaves_after") or (call.get("sampling") or {}).get("stop"):
            settle(server)
        return {
            "name": call["name"],
            "outputs": answer.outputs,
            "status": answer.status,
            "error": answer.error,
            "before": before,
            "after": self._counters(server),
            "health": server.health(),
            "seconds": round(seconds, 3),
        }

    @staticmethod
    def _counters(server: ApiServer) -> list[dict[str, Any]]:
        """Those of a server that has died are none."""
        return server.counters() if server.health() == 200 else []

    def _compare(self, exchanges: list[dict[str, Any]]) -> None:
        """Add what ``LLM()`` gives for the same calls."""
        llm, runtime = self._installed()
        for exchange, call in zip(exchanges, self._part["client"], strict=True):
            if call_is_whole(call):
                exchange["expected"] = local(llm, call)
        runtime.uninstall()

    def _installed(self) -> tuple[LLM, Any]:
        """An engine in this process with the runtime, which must come first where the engine compiles its model."""
        settings = self._part.get("engine") or {}
        given = self._request["model"], self._request["device"], settings
        runtime_settings = (self._part.get("runtime") or [{}])[0]
        if is_compiled(settings):
            runtime = install(self._request, runtime_settings)
            return make_engine(*given), runtime
        llm = make_engine(*given)
        return llm, install(self._request, runtime_settings)


def check_runners(server: ApiServer) -> None:
    """Every worker of the server has said that its model runner is the one that was asked for.

    Raises:
        RuntimeError: it is not, or none has said anything; what runs in this process shows nothing of the server's.
    """
    names = server.runners()
    if not names:
        raise RuntimeError("no worker of the server said which model runner it has")
    for name in names:
        check_class(name)


def call_is_whole(call: dict[str, Any]) -> bool:
    return not call.get("refused") and not call.get("leaves_after")


def prompts_of(call: dict[str, Any]) -> list[Seeded]:
    """Token ids and the seed of each prompt."""
    seed = call.get("seed")
    texts = make_texts(call["prompts"], None, 500)
    return [
        (ids, None if seed is None else seed + PROMPT_SEED_STRIDE * number) for number, (ids, _) in enumerate(texts)
    ]


@dataclass
class Answer:
    """Of one call: samples, and the first error."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None
    error: str = ""


class Client:
    """The ``openai`` client, for one server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._openai = openai.OpenAI(base_url=f"http://{HOST}:{server.port}/v1", api_key="none", max_retries=0)

    def ask(self, call: dict[str, Any]) -> Answer:
        """Make the requests of a call, at once or one after another."""
        answer, prompts = Answer(), prompts_of(call)
        at_once = len(prompts) if call.get("together") else 1
        groups = [prompts[start : start + at_once] for start in range(0, len(prompts), at_once)]
        for start, group in zip(range(0, len(prompts), at_once), groups, strict=True):
            self._send(call, start, group, answer)
        answer.outputs.sort(key=lambda output: (output["prompt"], output["sample"]))
        return answer

    def _send(
        self, call: dict[str, Any], start: int, group: list[tuple[list[int], int | None]], answer: Answer
    ) -> None:
        """Requests that begin in one step: the engine is paused until it has them all."""
        added = self._server.requests_added()
        waits = not call.get("refused")
        if waits:
            self._server.pause()
        with ThreadPoolExecutor(len(group)) as pool:
            asked = [pool.submit(self._request, call, start + i, *one) for i, one in enumerate(group)]
            if waits:
                self._wait_for(added + len(group) * call.get("n", 1), asked)
                self._server.resume()
            for one in asked:
                try:
                    answer.outputs += one.result()
                except openai.APIError as error:
                    answer.status = answer.status or getattr(error, "status_code", None)
                    answer.error = answer.error or str(error)

    def _wait_for(self, requests: int, asked: list[Any]) -> None:
        limit = time.monotonic() + SETTLE_LIMIT
        while self._server.requests_added() < requests and not all(one.done() for one in asked):
            if time.monotonic() > limit:
                raise RuntimeError(f"the server did not take {requests} requests in {SETTLE_LIMIT:.0f} s")
            time.sleep(0.05)

    def _request(self, call: dict[str, Any], prompt: int, ids: list[int], seed: int | None) -> list[dict[str, Any]]:
        sampling = call.get("sampling") or {}
        known = {name: value for name, value in sampling.items() if name in OF_OPENAI}
        extra = {name: value for name, value in sampling.items() if name not in OF_OPENAI}
        if call.get("extra"):
            extra["vllm_xargs"] = call["extra"]
        made = self._openai.completions.create(
            model=MODEL,
            prompt=ids,
            n=call.get("n", 1),
            max_tokens=call["max_tokens"],
            seed=seed,
            stream=bool(call.get("stream")),
            extra_body={"return_token_ids": True, **extra},
            **known,
        )
        if not call.get("stream"):
            return [output_of(prompt, choice) for choice in made.choices]
        return self._read(made, prompt, call.get("n", 1), call.get("leaves_after"))

    @staticmethod
    def _read(chunks: Any, prompt: int, n: int, leaves_after: int | None) -> list[dict[str, Any]]:
        """What comes in pieces, put together; or the first pieces, and then the client is gone."""
        outputs = [{"prompt": prompt, "sample": i, "token_ids": [], "text": "", "finish": None} for i in range(n)]
        for number, chunk in enumerate(chunks, 1):
            for choice in chunk.choices:
                output = outputs[choice.index]
                output["token_ids"] += choice.token_ids or []
                output["text"] += choice.text
                output["finish"] = choice.finish_reason or output["finish"]
            if leaves_after and number >= leaves_after:
                chunks.close()
                break
        return outputs


def output_of(prompt: int, choice: Any) -> dict[str, Any]:
    """A sample as the worker's other outputs have it; log-probabilities of the tokens that were drawn."""
    output = {
        "prompt": prompt,
        "sample": choice.index,
        "token_ids": list(choice.token_ids),
        "text": choice.text,
        "finish": choice.finish_reason,
        "stopped_by": getattr(choice, "stop_reason", None),
    }
    if choice.logprobs is not None:
        drawn = zip(choice.token_ids, choice.logprobs.token_logprobs, strict=True)
        output["logprobs"] = [[[token, value]] for token, value in drawn]
    return output


def settle(server: ApiServer) -> None:
    """Wait until the engine has heard that nobody wants more of a request: its counters stand still."""
    limit, before = time.monotonic() + SETTLE_LIMIT, None
    while time.monotonic() < limit:
        now = server.counters()
        if now == before:
            return
        before = now
        threading.Event().wait(1.0)


def local(llm: LLM, call: dict[str, Any]) -> list[dict[str, Any]]:
    """The same requests in this process; those that were asked one after another are so here."""
    prompts, outputs = prompts_of(call), []
    at_once = len(prompts) if call.get("together") else 1
    for start in range(0, len(prompts), at_once):
        group = prompts[start : start + at_once]
        finished = llm.generate(
            [{"prompt_token_ids": ids} for ids, _ in group],
            [params_of(call, seed) for _, seed in group],
            use_tqdm=False,
        )
        for number, request in enumerate(finished):
            for sample in request.outputs:
                outputs.append(
                    {
                        "prompt": start + number,
                        "sample": sample.index,
                        "token_ids": list(sample.token_ids),
                        "text": sample.text,
                        "finish": sample.finish_reason,
                        "stopped_by": sample.stop_reason,
                        "logprobs": drawn_logprobs(sample),
                    }
                )
    return outputs


def params_of(call: dict[str, Any], seed: int | None) -> SamplingParams:
    """The sampling parameters of a call's requests."""
    return SamplingParams(
        n=call.get("n", 1),
        max_tokens=call["max_tokens"],
        seed=seed,
        extra_args=dict(call["extra"]) if call.get("extra") else None,
        **(call.get("sampling") or {}),
    )


def drawn_logprobs(sample: Any) -> list[list[list[float]]] | None:
    """Of the tokens that were drawn."""
    if sample.logprobs is None:
        return None
    return [[[token, at[token].logprob]] for token, at in zip(sample.token_ids, sample.logprobs, strict=True)]
