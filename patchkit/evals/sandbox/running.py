"""Starts programs under confinement, and waits for them."""

from __future__ import annotations

import marshal
import os
import selectors
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.sandbox.limits import SandboxLimits

Way = Literal["namespaces", "bubblewrap", "locks"]

NOBODY = 65534
PATIENCE = 10  # seconds that the launcher gets to clear up, before it is killed
START = (
    "import marshal, sys; del sys.path[0]; job = marshal.load(sys.stdin.buffer); exec(job.pop('launcher'), globals())"
)


class Ending(msgspec.Struct, frozen=True):
    """How a program ended.

    Attributes:
        end: ``exit`` or ``signal``; ``time`` or ``output`` where that limit of ours ended it; ``unwanted``.
        number: of the exit code or signal; 0 otherwise.
        output: what it wrote on stdout and stderr, cut at the limit. Nothing that it says can be trusted.
    """

    end: Literal["exit", "signal", "time", "output", "unwanted"]
    number: int
    output: bytes


class Running:
    """A program that is running. Made by :func:`start`, waited for by :func:`finish`."""

    def __init__(
        self, process: subprocess.Popen[bytes], life: int, report: int, limits: SandboxLimits, scratch: str
    ) -> None:
        assert process.stdout is not None
        self.process, self.limits = process, limits
        self.output, self.report = bytearray(), bytearray()
        self.deadline = time.monotonic() + limits.seconds
        self._why: Literal["time", "output", "unwanted"] | None = None
        self._life, self._report, self._scratch = life, report, scratch
        os.set_blocking(process.stdout.fileno(), False)
        os.set_blocking(report, False)

    def files(self) -> tuple[int, int]:
        """What to wait for: its output, and its launcher's report."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno(), self._report

    def read(self) -> bool:
        """Takes what there is to read; False if it has ended."""
        output, report = self.files()
        going_on = _drain(report, self.report, 4096)
        _drain(output, self.output, self.limits.output + 1)
        if len(self.output) > self.limits.output:
            self.end("output")
        return going_on

    def end(self, why: Literal["time", "output", "unwanted"] = "unwanted") -> None:
        """Has its launcher end it, and everything that it started."""
        if not self._why:
            self._why = why
            self.deadline = time.monotonic() + PATIENCE
            os.close(self._life)

    def expire(self) -> None:
        """Ends it as out of time; or its launcher, if that was asked before and has not managed to."""
        if self._why:
            self.process.kill()
        self.end("time")

    def ending(self) -> Ending:
        """Clears up after it; it must have ended.

        Raises:
            PatchkitError: if it never began.
        """
        if not self._why:
            os.close(self._life)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self._report)
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
        output = bytes(self.output[: self.limits.output])
        began, *rest = bytes(self.report).decode(errors="replace").splitlines() or [""]
        if began != "began" and not self._why:
            last = began.removeprefix("setup ") or output.decode(errors="replace").strip()[-300:]
            raise PatchkitError(f"the sandbox did not start: {last or self.process.returncode}")
        if self._why in ("time", "output"):
            return Ending(self._why, 0, output)
        end, _, number = "".join(rest).partition(" ")
        if end in ("exit", "signal"):
            return Ending("exit" if end == "exit" else "signal", int(number), output)
        return Ending("unwanted", 0, output)


def start(
    code: str | CodeType,
    limits: SandboxLimits,
    way: Way,
    *,
    names: Mapping[str, Any] | None = None,
    channel: socket.socket | None = None,
) -> Running:
    """Starts a program.

    Args:
        code: what to run, as ``__main__``. It finds the standard library, and nothing that is installed.
        limits: under which.
        way: how to confine it.
        names: its global names at the start; values that :mod:`marshal` takes.
        channel: its only open file besides stdin, stdout and stderr, as number 3.

    Raises:
        PatchkitError: if the way does not exist here.
    """
    before = bubblewrap(limits.scratch) if way == "bubblewrap" else []
    drop = os.geteuid() == 0 and way != "bubblewrap"
    scratch = tempfile.mkdtemp(prefix="patchkit-") if way == "locks" else ""
    if scratch and drop:
        os.chown(scratch, NOBODY, NOBODY)
    life, end_of_life = os.pipe()
    report, say = os.pipe()
    passed = [life, say] + ([channel.fileno()] if channel else [])
    allowed = {name: getattr(limits, name) for name in limits.__struct_fields__}
    if not drop and way != "locks":
        allowed["processes"] += 3  # the launcher's own, which run as the same user there
    job = {
        "launcher": launcher(),
        "code": compile(code, "<program>", "exec", dont_inherit=True) if isinstance(code, str) else code,
        "names": dict(names or {}),
        "limits": allowed,
        "way": way,
        "shown": shown(),
        "drop": drop,
        "scratch": scratch or scratch_path(),
        "life": life,
        "report": say,
        "channel": channel.fileno() if channel else None,
    }
    process = subprocess.Popen(
        [*before, sys_executable(), "-S", "-s", "-X", "utf8", "-c", START, f"patchkit-sandbox-{os.getpid()}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=passed,
        env={"PYTHONHASHSEED": "0"},  # so that a verdict does not depend on the order of a set
        cwd="/",
        start_new_session=True,
    )
    os.close(life)
    os.close(say)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(marshal.dumps(job))
    return Running(process, end_of_life, report, limits, scratch)


def finish(program: Running, *helpers: Running) -> None:
    """Waits until a program has ended, then ends those that only helped it. Watches time and output of all."""
    everyone = [program, *helpers]
    with selectors.DefaultSelector() as selector:
        for each in everyone:
            for file in each.files():
                selector.register(file, selectors.EVENT_READ, each)
        try:
            while everyone:
                pause = min(each.deadline for each in everyone) - time.monotonic()
                ready = {id(key.data): key.data for key, _ in selector.select(max(pause, 0))}
                for each in ready.values():
                    if not each.read():
                        everyone.remove(each)
                        for file in each.files():
                            selector.unregister(file)
                        if each is program:
                            for helper in helpers:
                                helper.end()
                for each in everyone:
                    if time.monotonic() >= each.deadline:
                        each.expire()
        finally:
            for each in everyone:
                each.end()


def run(code: str | CodeType, limits: SandboxLimits, way: Way, *, names: Mapping[str, Any] | None = None) -> Ending:
    """Runs one program to its end."""
    program = start(code, limits, way, names=names)
    finish(program)
    return program.ending()


@cache
def shown() -> list[str]:
    """The folders that a program needs: Python's own, and the system's libraries, but not all that is in /usr/lib."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    libraries = ["/usr/lib64", f"/lib/{multiarch}", f"/usr/lib/{multiarch}"]
    if not Path(libraries[-1]).is_dir():  # a system that keeps its libraries in one folder
        libraries.append("/usr/lib")
    own = [f"{sys.base_prefix}/lib"] if sys.base_prefix != "/usr" else []
    folders = [*libraries, *own, os.path.dirname(os.__file__)]  # noqa: PTH120
    return [path for path in dict.fromkeys(map(os.path.realpath, folders)) if Path(path).is_dir()]


def scratch_path() -> str:
    """Where the program writes in a file tree of its own: /tmp, unless Python itself is there."""
    return "/scratch" if any(f"{path}/".startswith("/tmp/") for path in shown()) else "/tmp"


@cache
def bubblewrap(scratch: int) -> list[str]:
    """The command line that shows the same through bubblewrap.

    Raises:
        PatchkitError: if it is not installed.
    """
    if not shutil.which("bwrap"):
        raise PatchkitError("the sandbox did not start: bwrap is not installed")
    line = ["bwrap", "--unshare-all", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"]
    line += ["--unshare-user", "--disable-userns", "--die-with-parent"]
    line += ["--tmpfs", scratch_path(), "--dev", "/dev", "--chdir", "/"]
    for folder in shown():
        line += ["--ro-bind", folder, folder]
        for hidden in (*Path(folder).glob("*-packages"), *Path(folder).glob("python*/*-packages")):
            line += ["--tmpfs", str(hidden)]
    for path in ("/lib", "/lib64"):  # where the interpreter finds its loader
        if Path(path).is_symlink():
            line += ["--symlink", os.readlink(path), path]  # noqa: PTH115
        elif Path(path).is_dir():
            line += ["--ro-bind", path, path]
    return [*line, "--ro-bind", sys_executable(), sys_executable(), "--remount-ro", "/"]


def sys_executable() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


@cache
def launcher() -> CodeType:
    """The launcher's code, compiled once."""
    return combined("locks", "launcher", ending="main(job)")


def combined(*names: str, ending: str) -> CodeType:
    """Files of this package as one program, for a place that has no packages."""
    future = "from __future__ import annotations\n"
    texts = [Path(__file__).with_name(f"{name}.py").read_text().replace(future, "") for name in names]
    return compile("\n".join([future, *texts, ending]), f"<{names[-1]}>", "exec", dont_inherit=True)


def _drain(file: int, into: bytearray, most: int) -> bool:
    """Reads what is there, keeping no more than ``most``; False at the end of the file."""
    while True:
        try:
            chunk = os.read(file, 65536)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        into += chunk[: most - len(into)]
        if len(into) >= most:
            return True
