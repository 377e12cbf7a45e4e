"""The launcher: confines itself, then runs one program.

With locks.py it is sent as compiled code to a bare interpreter (``-S``), and imports nothing of patchkit: what is in
memory when the program starts is what the program can read. It starts often, so it imports little: pathlib, signal and
typing would cost more than the namespaces do. Three processes, outermost first:

- the *watch* stays outside of the process ids that it makes. It ends everything as soon as the pipe ``life`` closes,
  which happens at the latest when the grading process dies, however it dies.
- the *first* process of the new process ids builds the file tree and waits. With it, the kernel ends every other.
- the *program*, under its limits, without rights, with nothing open but stdin (null), stdout, stderr and its channel.

With bubblewrap the first process is its own; with locks alone there is none, and the watch kills what is left.
The report (the pipe ``report``) is closed before the program runs, so that only the launcher can have written it.
"""

# ruff: noqa: PTH102, PTH103, PTH106, PTH112, PTH114, PTH115, PTH120, PTH123, PTH208, PTH211, SIM105
from __future__ import annotations

import ctypes
import os
import resource
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, NoReturn

    from patchkit.evals.sandbox.locks import libc, refuse_calls, refuse_files

NOBODY = 65534
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CLOSE_RANGE, MOUNT_SETATTR = 436, 442  # on every architecture
NEW_MOUNT, NEW_IPC, NEW_USER = 0x20000, 0x8000000, 0x10000000
NEW_PID, NEW_NET, NEW_UTS = 0x20000000, 0x40000000, 0x4000000
BIND, RECURSIVE, PRIVATE, NOSUID, NODEV, NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
READ_ONLY = 1
DETACH = 2
DEATH_SIGNAL, DUMPABLE, NO_NEW_PRIVS, CHILD_SUBREAPER = 1, 4, 38, 36
SIGKILL, SIGSTOP = 9, 19
CHANNEL = 3  # the program's one open file besides stdin, stdout and stderr


def call(what: str, result: int) -> None:
    """Raises OSError if a system call did not work."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prctl(option: int, value: int) -> None:
    call("prctl", libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    call(f"mount {target}", libc.mount(*(text.encode() for text in (source, target, kind)), flags, options.encode()))


# The watch


def main(job: dict[str, Any]) -> NoReturn:
    """Runs ``job`` and exits when nothing of it is left."""
    report, life = job["report"], job["life"]
    try:
        prctl(CHILD_SUBREAPER, 1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        prefer_for_oom_kill()
        if job["way"] == "namespaces":
            unshare()
        prctl(DUMPABLE, 0)  # so that a program of the same user can neither trace us nor take our open files
        child = os.fork()
        if not child:
            os.close(life)
            if job["way"] == "namespaces":
                first(job)
            program(job)
        watch(child, life, job)
    except OSError as failure:
        os.write(report, f"setup {failure}\n".encode())
    os._exit(0)


def watch(child: int, life: int, job: dict[str, Any]) -> None:
    """Waits until the child ends, or ends it as soon as ``life`` closes."""
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, life], [], [])
    if ended not in ready:
        os.kill(child, SIGKILL)
    _, status = os.waitpid(child, 0)
    if job["way"] == "locks":
        kill_descendants()
    if job["way"] != "namespaces":  # there the first process reports it
        os.write(job["report"], said(status))


def said(status: int) -> bytes:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}\n".encode()
    return f"exit {os.WEXITSTATUS(status)}\n".encode()


def kill_descendants() -> None:
    """Ends the processes that the program left behind: as subreaper we become the parent of all of them."""
    while children := descendants():
        for sig in (SIGSTOP, SIGKILL):  # so that nothing forks meanwhile
            for pid in children:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break


def descendants() -> list[int]:
    """Every process below us, from /proc."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                pass
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def prefer_for_oom_kill() -> None:
    """Makes the kernel kill us first when the host runs out of memory."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:  # bubblewrap shows no /proc
        pass


# The first process of the new process ids


def unshare() -> None:
    """Goes into new namespaces, where we have all capabilities and the program's user exists."""
    reader, writer = os.pipe()
    helper = os.fork()
    if not helper:  # the maps can only be written from outside
        os.read(reader, 1)
        os._exit(write_maps(os.getppid()))
    call("unshare", libc.unshare(NEW_USER | NEW_MOUNT | NEW_PID | NEW_NET | NEW_IPC | NEW_UTS))
    os.write(writer, b".")
    _, status = os.waitpid(helper, 0)
    os.close(reader)
    os.close(writer)
    if status:
        raise OSError("the user ids of a new user namespace cannot be mapped")
    # of our own namespaces: no further ones, no shared memory
    for knob in ("user/max_user_namespaces", "kernel/shmmni"):
        try:
            descriptor = os.open(f"/proc/sys/{knob}", os.O_WRONLY)
        except PermissionError:
            continue
        os.write(descriptor, b"0")
        os.close(descriptor)


def write_maps(pid: int) -> int:
    """Maps the launcher's user, and nobody if we may, into its user namespace."""
    ours = f"0 0 1\n{NOBODY} {NOBODY} 1" if os.geteuid() == 0 else None
    texts = {
        "setgroups": None if ours else "deny",
        "uid_map": ours or f"{NOBODY} {os.geteuid()} 1",
        "gid_map": ours or f"{NOBODY} {os.getegid()} 1",
    }
    try:
        for name, text in texts.items():
            if text:
                descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY)
                os.write(descriptor, text.encode())
    except OSError:
        return 1
    return 0


def first(job: dict[str, Any]) -> NoReturn:
    """Builds the file tree, starts the program and outlives it just long enough to say how it ended."""
    report = job["report"]
    try:
        prctl(DEATH_SIGNAL, SIGKILL)
        build_root(job["shown"], job["scratch"], job["limits"]["scratch"])
        child = os.fork()
        if not child:
            program(job)
        os.close(1)
        os.close(2)
        while True:
            pid, status = os.wait()
            if pid == child:
                os.write(report, said(status))
                break
    except OSError as failure:
        os.write(report, f"setup {failure}\n".encode())
    os._exit(0)


def build_root(shown: list[str], scratch: str, size: int) -> None:
    """A file tree with Python's own files, the system's libraries, /dev/null, an empty scratch folder, and no more."""
    mount("none", "/", "", RECURSIVE | PRIVATE)
    mount("root", "/tmp", "tmpfs", NOSUID | NODEV, "size=1m,nr_inodes=1k,mode=755")
    os.mkdir("/tmp/old")
    call("pivot_root", libc.syscall(PIVOT_ROOT.get(os.uname().machine, -1), b"/tmp", b"/tmp/old"))
    os.chdir("/")
    for path in [*shown, *sys.path]:
        show(path)
    os.makedirs("/dev", exist_ok=True)
    for device in ("/dev/null", "/dev/urandom"):
        os.close(os.open(device, os.O_CREAT))
        mount(f"/old{device}", device, "", BIND)
    call("umount", libc.umount2(b"/old", DETACH))
    os.rmdir("/old")
    os.mkdir(scratch)
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY | NOSUID, 0, 0, 0)
    call("mount_setattr", libc.syscall(MOUNT_SETATTR, -100, b"/", 0x8000, ctypes.byref(attributes), 32))
    mount("scratch", scratch, "tmpfs", NOSUID | NODEV | NOEXEC, f"size={size},nr_inodes=256,mode=1777")


def show(path: str) -> None:
    """Binds a folder of the old tree into the new one, without the packages that are installed there."""
    if os.path.lexists(path) or not os.path.isdir(f"/old{path}"):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(f"/old{path}"):
        os.symlink(os.readlink(f"/old{path}"), path)
        return
    os.mkdir(path)
    mount(f"/old{path}", path, "", BIND | RECURSIVE)
    inner = [f"{path}/{name}" for name in os.listdir(path) if name.startswith("python")]
    for folder in [path, *inner]:
        for name in ("site-packages", "dist-packages"):
            if os.path.isdir(f"{folder}/{name}"):
                mount("hidden", f"{folder}/{name}", "tmpfs", NOSUID | NODEV, "size=4k,mode=755")


# The program


def program(job: dict[str, Any]) -> NoReturn:
    """Gives up all capabilities, sets the limits, and runs the program."""
    try:
        os.chdir(job["scratch"])
        set_limits(job["limits"])
        drop_rights(job["drop"])
        if job["way"] == "locks":
            refuse_files([*job["shown"], *sys.path], job["scratch"])
        refuse_calls(on_the_host=job["way"] == "locks")
        os.write(job["report"], b"began\n")
        keep_only(job["channel"])
    except OSError as failure:
        os.write(job["report"], f"setup {failure}\n".encode())
        os._exit(1)
    code = 0
    try:
        run(job["code"], {"__name__": "__main__", **job["names"]})
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as failure:
        sys.excepthook(type(failure), failure, failure.__traceback__)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            code = code or 1
    os._exit(code & 255)


def run(code: CodeType, names: dict[str, Any]) -> None:
    exec(code, names)


def set_limits(limits: dict[str, Any]) -> None:
    cpu = limits["cpu"]
    for what, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),  # first SIGXCPU, which says why, then SIGKILL, which nobody ignores
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_NPROC, limits["processes"], limits["processes"]),
        (resource.RLIMIT_FSIZE, limits["file"], limits["file"]),
        (resource.RLIMIT_NOFILE, limits["files"], limits["files"]),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))


def drop_rights(drop: bool) -> None:
    if drop:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call("capset", libc.capset(ctypes.byref(header), ctypes.byref(nothing)))
    prctl(NO_NEW_PRIVS, 1)


def keep_only(channel: int | None) -> None:
    """Closes every file but stdin, stdout, stderr and the channel, which becomes number 3."""
    if channel is not None:
        os.dup2(channel, CHANNEL)
    first_to_go = CHANNEL if channel is None else CHANNEL + 1
    if libc.syscall(CLOSE_RANGE, first_to_go, 2**32 - 1, 0) < 0:  # a kernel before 5.9
        os.closerange(first_to_go, 2**20)
