"""A real ``vllm serve`` in processes of its own, with the runtime as vLLM starts it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from patchkit_worker.engine import with_defaults
from patchkit_worker.served_plugin import FAULTS, RUNNERS

READY_LIMIT, STOP_LIMIT = 540.0, 20.0
HOST, MODEL = "127.0.0.1", "model"
COMMAND = "import sys; from vllm.entrypoints.cli.main import main; sys.argv[0] = 'vllm'; sys.exit(main())"
# Makes the worker's package importable under its name, and gives its plugin to vLLM.
BOOTSTRAP = """
import importlib.util, sys
from pathlib import Path
HERE = Path({folder!r})
if "patchkit_worker" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "patchkit_worker", HERE / "__init__.py", submodule_search_locations=[str(HERE)]
    )
    sys.modules["patchkit_worker"] = importlib.util.module_from_spec(spec)
from patchkit_worker.served_plugin import load
"""


class ApiServer:
    """One server; its log is a file. Everything that it starts is in this process's group, which the worker kills."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._plugin = request["plugin"]
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="patchkit-server-")
        self._log = Path(self._folder.name) / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "serve", request["model"], *arguments(request, self.port)],
                env=environment(request, self._folder.name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Until it answers.

        Raises:
            RuntimeError: it ended, or took too long; with the last lines of its log that say why.
        """
        limit = time.monotonic() + READY_LIMIT
        while self.health() != 200:
            ended = self._process.poll() is not None
            if ended or time.monotonic() > limit:
                why = f"ended with {self._process.returncode}" if ended else f"is not ready after {READY_LIMIT:.0f} s"
                raise RuntimeError(f"the server {why}: {self.last_error()}")
            time.sleep(0.5)

    def health(self) -> int | None:
        """HTTP status of its health; None if it does not answer."""
        try:
            return self.ask("GET", "/health")[0]
        except OSError:
            return None

    def counters(self) -> list[dict[str, Any]]:
        """The runtime's counters, of each worker."""
        status, body = self.ask("POST", "/collective_rpc", {"method": self._plugin["counters"]})
        if status != 200:
            raise RuntimeError(f"collective_rpc({self._plugin['counters']!r}) answered {status}: {body[:300]!r}")
        return list(json.loads(body)["results"])

    def pause(self) -> None:
        """What comes in is queued, until :meth:`resume`."""
        self._check(self.ask("POST", "/pause?mode=keep&clear_cache=false"))

    def resume(self) -> None:
        """Go on: everything that was sent before is scheduled in the same step, as far as there is room."""
        self._check(self.ask("POST", "/resume"))

    def requests_added(self) -> int:
        """How many requests the engine was sent so far, by the log; each sample is one."""
        return self._log.read_bytes().count(b"Added request ")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of an answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def lines_of(self, word: str) -> list[str]:
        """The lines of its log that have a word."""
        return [line for line in self._log.read_text(errors="replace").splitlines() if word in line]

    def runners(self) -> list[str]:
        """The class of each worker's model runner, as the worker said."""
        file = Path(self._folder.name) / "runners"
        return file.read_text().splitlines() if file.exists() else []

    def last_error(self) -> str:
        """The line of its log that most likely says why it ended."""
        lines = self._log.read_text(errors="replace").splitlines()
        likely = [line for line in lines if f"{self._plugin['name']}" in line and "rror" in line]
        likely = likely or [line for line in lines if "rror" in line] or lines or ["it said nothing"]
        return likely[-1].strip()

    def stop(self) -> None:
        """End it and everything that it started."""
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @staticmethod
    def _check(answer: tuple[int, bytes]) -> None:
        if answer[0] != 200:
            raise RuntimeError(f"the server answered {answer[0]}: {answer[1][:300]!r}")


def arguments(request: dict[str, Any], port: int) -> list[str]:
    """Of ``vllm serve``: the part's engine, what the runtime needs, and what is needed to see what happens."""
    engine = with_defaults(request["device"], request["part"].get("engine") or {})
    given = [word for name, value in engine.items() for word in option(name, value)]
    # What the part says of an option goes before what the plugin needs by default.
    opposite = {one.replace("--", "--no-", 1) for one in request["plugin"]["arguments"]} & {*given}
    needed = [one for one in request["plugin"]["arguments"] if one.replace("--", "--no-", 1) not in opposite]
    given += [one for one in needed if one not in given]
    seen = ["--enable-log-requests", "--served-model-name", MODEL]
    return [*given, *seen, "--host", HOST, "--port", str(port)]


def option(name: str, value: Any) -> list[str]:
    """A keyword argument of ``vllm.LLM`` as an option of ``vllm serve``."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    if isinstance(value, list):
        return [f"--{dashed}", *map(str, value)]
    return [] if value is None else [f"--{dashed}", value if isinstance(value, str) else json.dumps(value)]


def environment(request: dict[str, Any], folder: str) -> dict[str, str]:
    """Variables of the server: as users have them, with the tree on the path and the runtime switched on."""
    part, plugin = request["part"], request["plugin"]
    write_plugin(Path(folder))
    settings = {**(request.get("defaults") or {}), **(part.get("runtime") or [{}])[0]}
    path = [request["tree"], request["metadata"], folder, os.environ.get("PYTHONPATH", "")]
    variables = {name: value for name, value in os.environ.items() if name != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    return variables | {
        "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
        "VLLM_SERVER_DEV_MODE": "1",  # collective_rpc, pause and resume over HTTP
        plugin["variable"]: json.dumps(settings),
        RUNNERS: str(Path(folder) / "runners"),
        FAULTS: " ".join(part.get("faults") or []),
    }


def write_plugin(folder: Path) -> None:
    """A distribution that gives vLLM the worker's own plugin."""
    (folder / "patchkit_served.py").write_text(BOOTSTRAP.format(folder=str(Path(__file__).parent)))
    metadata = folder / "patchkit_served-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: patchkit-served\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[vllm.general_plugins]\npatchkit_served = patchkit_served:load\n")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])
