"""Which way of confining a program works on this host, found by trying each."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

import msgspec

from patchkit.errors import PatchkitError
from patchkit.evals.sandbox.limits import SandboxLimits
from patchkit.evals.sandbox.running import Way, run

ACCEPT = "PATCHKIT_UNCONFINED"
WAYS: tuple[Way, ...] = ("namespaces", "bubblewrap", "locks")

# What a confined program must not be able to do. Each attempt adds a word if it worked.
PROBE = """
import fcntl, json, os, socket, struct
done, ends = [], socket.socketpair()
def attempt(what, function):
    try:
        function()
    except OSError:
        return
    if what not in done:
        done.append(what)
attempt("network", lambda: socket.create_connection(("127.0.0.1", port), 1).close())
attempt("reads", lambda: os.listdir(outside))
attempt("writes", lambda: open(outside + "/written", "w").close())
attempt("writes", lambda: os.truncate(kept, 1))
for path in (kept, outside):
    attempt("attributes", lambda: os.chmod(path, 0o777))
    attempt("attributes", lambda: os.chown(path, -1, -1))
    attempt("attributes", lambda: os.utime(path))
    attempt("attributes", lambda: os.setxattr(path, "user.patchkit", b""))
attempt("processes", lambda: os.kill(parent, 0))
for command, value in ((fcntl.F_SETOWN, parent), (15, struct.pack("ii", 1, parent)), (fcntl.F_SETSIG, 9)):
    attempt("processes", lambda: fcntl.fcntl(ends[0], command, value))
for command in (0x8901, 0x8902):
    attempt("processes", lambda: fcntl.ioctl(ends[0], command, struct.pack("i", parent)))
attempt("files", lambda: open("scratch", "wb").write(bytes(4096)) and os.truncate("scratch", 8192))
try:
    for _ in range(64):
        if not os.fork():
            __import__("time").sleep(60)
except OSError:
    pass
else:
    done.append("forks")
print(json.dumps(done))
"""
NAMES = {
    "network": "network",
    "reads": "reads outside the scratch folder",
    "writes": "writes outside the scratch folder",
    "attributes": "the modes, owners and times of files outside it",
    "processes": "signals to other processes",
    "files": "the size of files",
    "forks": "the number of processes",
}


class Confinement(msgspec.Struct, frozen=True):
    """What holds a program here.

    Attributes:
        way: by which means.
        open: what is not confined, a key of NAMES each.
        refused: why better ways were not taken, and what this one leaves open.
    """

    way: Way
    open: tuple[str, ...]
    refused: tuple[str, ...] = ()

    def statement(self, limits: SandboxLimits) -> str:
        """One line for evidence: what a program could and could not do."""
        by = {"namespaces": "own namespaces", "bubblewrap": "bubblewrap", "locks": "seccomp and Landlock"}[self.way]
        if not self.open:
            better = f"; no better way: {'; '.join(self.refused)}" if self.refused else ""
            return (
                f"{by}: no network, nothing to read but Python itself, nothing to write but a scratch folder, "
                f"no signals to other processes, no rights; {limits}{better}"
            )
        leaks = " and ".join(NAMES[name] for name in self.open)
        return f"limits only: {leaks} are NOT confined ({'; '.join(self.refused)}); {limits}"


@cache
def confinement() -> Confinement:
    """The best way there is on this host, tried out once in a process.

    Raises:
        PatchkitError: if not even limits can be set.
    """
    refused: list[str] = []
    for way in WAYS:
        try:
            found = probe(way)
        except PatchkitError as error:
            refused.append(f"{way}: {error.what.removeprefix('the sandbox did not start: ')}")
            continue
        if found:
            refused.append(f"{way}: would not confine {', '.join(NAMES[name] for name in found)}")
        if found and way != WAYS[-1]:
            continue
        return Confinement(way, tuple(found), tuple(refused))
    raise PatchkitError(
        f"model-written code cannot be run here: {'; '.join(refused)}",
        "use a host that allows user namespaces, or a Python that the user nobody can read",
    )


def required() -> Confinement:
    """The same, refusing to go on where a hostile program could do harm, unless the user said to accept that.

    Raises:
        PatchkitError: if so.
    """
    found = confinement()
    if found.open and os.environ.get(ACCEPT) != "1":
        raise PatchkitError(
            f"model-written code cannot be confined here: {'; '.join(found.refused)}",
            f"allow user namespaces or install bubblewrap, or accept it with {ACCEPT}=1, which every output will say",
        )
    return found


def probe(way: Way) -> list[str]:
    """What a program confined this way can still do of what it should not.

    Raises:
        PatchkitError: if the way does not work here.
    """
    limits = SandboxLimits(seconds=10, cpu=2, file=4096, processes=4)
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        Path(folder).chmod(0o777)
        kept = Path(folder, "kept")
        kept.write_text("kept")
        kept.chmod(0o666)
        names = {"port": server.getsockname()[1], "outside": folder, "kept": str(kept), "parent": os.getpid()}
        ending = run(PROBE, limits, way, names=names)
    try:
        done: list[str] = json.loads(ending.output)
    except ValueError:
        last = ending.output.decode(errors="replace").strip().splitlines()[-1:] or [f"{ending.end} {ending.number}"]
        raise PatchkitError(f"the sandbox did not start: {last[0]}") from None
    return done
