"""A server that answers as vLLM's does, without a model: a text follows from a seed. It can fail on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NO_TEMPLATE = "no chat template is allowed by default, so you must provide a chat template"


@dataclass
class MadeServer:
    """What it answers, and what it was asked.

    Attributes:
        failures: statuses of the next answers, each with its headers, before any right one.
        dies_after: right answers after which every other is a status 503; None for never.
        slow: seconds that an answer takes.
        counters: the runtime's; every decode row of a request that switches it on is added to ``rows``.
        workers: what each worker answers to a call of ``toy_counters``; the counters if not given.
        dead: the runtime counts nothing.
        bodies: every request that was answered.
        most: requests that were under way at once.
    """

    version: str | None = "0.20.0"
    models: tuple[str, ...] = ("made",)
    chat: bool = True
    token_ids: bool = True
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    dies_after: int | None = None
    slow: float = 0.0
    counters: dict[str, Any] | None = None
    workers: list[Any] | None = None
    dead: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    url: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/version" and self.version is not None:
            return 200, {"version": self.version}
        if path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": name, "root": f"/models/{name}"} for name in self.models]}
        if path == "/counters" and self.counters is not None:
            return 200, self.counters
        return 404, {"detail": "Not Found"}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/collective_rpc":
            return self._called(body["method"])
        if path.endswith("/chat/completions") and not self.chat:
            return 400, {"error": {"message": NO_TEMPLATE, "code": 400}}
        if body["max_tokens"] < 1:
            return 400, {"error": {"message": "max_tokens must be at least 1", "code": 400}}
        self.bodies.append({"path": path, **body})
        return 200, self._answer(body, "chat" in path)

    def _called(self, method: str) -> tuple[int, Any]:
        """As vLLM in its development mode: a result for each worker, a failure for a method that none has."""
        workers = [self.counters] if self.workers is None and self.counters is not None else self.workers
        if workers is None:
            return 404, {"detail": "Not Found"}
        return (200, {"results": workers}) if method == "toy_counters" else (500, {"error": {"message": method}})

    def _answer(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        tokens = body["max_tokens"]
        choices = []
        for number in range(body.get("n", 1)):
            text = f"{'chat' if chat else 'plain'} {body.get('seed', 0) + number}"
            choice: dict[str, Any] = {"index": number, "finish_reason": "length"}
            choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            choice |= {"token_ids": [7] * tokens} if self.token_ids else {}
            choices.append(choice)
        if self.counters is not None and not self.dead and (body.get("vllm_xargs") or {}).get("toy"):
            with self.lock:
                self.counters["rows"] += (tokens - 1) * len(choices)
        kind = "chat.completion" if chat else "text_completion"
        usage = {"prompt_tokens": 1, "completion_tokens": tokens * len(choices), "total_tokens": 1}
        return {"id": "1", "object": kind, "created": 1, "model": "made", "choices": choices[::-1], "usage": usage}


@contextmanager
def serving(server: MadeServer) -> Iterator[MadeServer]:
    """Run it on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            self._send(*server.get(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.under_way += 1
                server.most = max(server.most, server.under_way)
                dead = server.dies_after is not None and len(server.bodies) >= server.dies_after
                failure = (503, {}) if dead else server.failures.pop(0) if server.failures else None
            time.sleep(server.slow)
            answer = server.post(self.path, body) if failure is None else (failure[0], {"error": {"message": "busy"}})
            with server.lock:
                server.under_way -= 1
            self._send(*answer, headers=failure[1] if failure else {})

        def _send(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            with suppress(ConnectionError):  # whoever asked may have gone
                self.end_headers()
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads, http.block_on_close = True, False
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
