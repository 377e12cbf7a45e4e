"""What a program finds inside, in every way of confining that this host has."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from patchkit.errors import PatchkitError
from patchkit.evals import sandbox
from patchkit.evals.sandbox import Confinement, SandboxLimits, confine, run, running

LIMITS = SandboxLimits(seconds=20, cpu=1, memory=256 * 2**20, file=2**16, files=16, output=4096, processes=4)


@pytest.fixture(params=["namespaces", "bubblewrap", "locks"])
def way(request, monkeypatch):
    return there(request.param, monkeypatch)


@pytest.fixture
def locks(monkeypatch):
    return there("locks", monkeypatch)


def there(way, monkeypatch):
    """A way that this host has; with locks, a Python that nobody can read will do if ours is root's own."""
    system = Path(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    if way == "locks" and os.geteuid() == 0 and system.exists():
        monkeypatch.setattr(running, "sys_executable", lambda: str(system.resolve()))
    try:
        left_open = confine.probe(way)
    except PatchkitError as error:
        pytest.skip(f"not on this host: {error.what}")
    if left_open:
        pytest.skip(f"{way} leaves {', '.join(left_open)} open here")
    return way


@pytest.fixture
def confined():
    found = sandbox.confinement()
    if found.open:
        pytest.skip(f"nothing but limits on this host: {'; '.join(found.refused)}")
    return found.way


def said(way, code, **names):
    """What a program prints, as JSON."""
    ending = run(f"import json, os, sys\n{code}", LIMITS, way, names=names)
    assert (ending.end, ending.number) == ("exit", 0), ending.output.decode()
    return json.loads(ending.output)


# In every way


def test_a_program_runs_and_its_end_is_told(way):
    ending = run("import sys\nprint('out', flush=True)\nprint('error', file=sys.stderr)\nsys.exit(3)", LIMITS, way)
    assert (ending.end, ending.number, ending.output) == ("exit", 3, b"out\nerror\n")
    assert run("raise ValueError(1)", LIMITS, way).number == 1
    assert run("import ctypes\nctypes.string_at(0)", LIMITS, way).end == "signal"


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("while True: pass", ("signal", 24)),
        ("import signal\nsignal.signal(24, signal.SIG_IGN)\nwhile True: pass", ("signal", 9)),
        ("while True: print('x' * 999)", ("output", 0)),
        ("x = bytearray(2**29)", ("exit", 1)),
        ("open('big', 'wb').write(bytes(2**17))", ("exit", 1)),
        ("import os\nwhile True: os.open('x', os.O_CREAT)", ("exit", 1)),
    ],
)
def test_limits_hold(way, code, end):
    ending = run(code, LIMITS, way)
    assert (ending.end, ending.number) == end
    assert len(ending.output) <= LIMITS.output


def test_what_sleeps_is_ended(way):
    assert run("import time\ntime.sleep(999)", SandboxLimits(seconds=0.5), way).end == "time"


def test_children_cannot_become_many(way):
    code = """
children = 0
try:
    while children < 64:
        if not os.fork():
            __import__("time").sleep(60)
        children += 1
except OSError:
    pass
print(children)
"""
    assert said(way, code) < 8


def test_what_it_leaves_behind_is_ended(way):
    code = """
import time
def daemon(session):
    try:
        if session:
            os.setsid()
        if not os.fork():
            os.closerange(0, 9)
            time.sleep(999)
    finally:
        os._exit(0)
try:
    for session in (True, False):
        if not os.fork():
            daemon(session)
        os.wait()
except BlockingIOError:  # a user with many processes and no namespace to count them in
    pass
print("0")
"""
    assert said(way, code) == 0
    until = time.monotonic() + 5
    while left() and time.monotonic() < until:  # bubblewrap does not wait for the last of them
        time.sleep(0.01)
    assert not left()


def test_nothing_of_ours_is_open_or_in_its_environment(way, tmp_path):
    code = """
found = []
for number in range(4096):
    try:
        os.fstat(number)
        found.append(number)
    except OSError:
        pass
print(json.dumps([found, dict(os.environ), sys.stdin.read()]))
"""
    with (tmp_path / "secret").open("w") as file:
        held = [os.dup(file.fileno()) for _ in range(60)]  # so that the launcher's own numbers are high
        for number in held:
            os.set_inheritable(number, True)
        found, environment, stdin = said(way, code)
        for number in held:
            os.close(number)
    assert found == [0, 1, 2]
    assert set(environment) <= {"PYTHONHASHSEED", "LC_CTYPE", "PWD"}
    assert stdin == ""


def test_the_scratch_folder_can_be_written_and_goes(way, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:  # nobody must get there
        if not os.access(parent, os.X_OK) or not parent.stat().st_mode & 1:
            monkeypatch.setattr("tempfile.tempdir", "/tmp")
    folder, text = said(way, "open('a', 'w').write('b')\nprint(json.dumps([os.getcwd(), open('a').read()]))")
    assert text == "b"
    assert not Path(folder, "a").exists()
    assert said(way, "print(json.dumps(os.listdir()))") == []


def test_it_has_no_rights(way):
    code = (
        "libc = __import__('ctypes').CDLL(None)\nprint(json.dumps([os.getuid() or 'root', libc.prctl(39, 0, 0, 0, 0)]))"
    )
    user, no_new_rights = said(way, code)
    assert user != "root" and no_new_rights == 1


def test_many_at_once_do_not_count_each_others_processes(confined):
    """As they would where they are one user to the kernel."""
    fork = "pids = [os.fork() for _ in range(1)]\nimport time\ntime.sleep(0.3)\nif all(pids):\n    print(1)\n"
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(said(confined, fork))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 5


# Where there is more than limits


def test_nothing_of_the_host_can_be_read(way, tmp_path):
    (tmp_path / "file").write_text("secret")
    code = """
done = []
for path in paths:
    try:
        os.listdir(path) if path.endswith("/") else open(path).read(1)
        done.append(path)
    except OSError:
        pass
print(json.dumps(done))
"""
    paths = ["/etc/passwd", "/etc/hostname", "/home/", "/proc/self/maps", "/proc/1/cmdline", "/sys/", "/var/", "/etc/"]
    assert said(way, code, paths=[*paths, f"{tmp_path}/", f"{tmp_path}/file", __file__]) == []


def test_what_is_installed_cannot_be_read(way):
    code = """
done = []
for at, folders, files in os.walk("/"):
    for path in [os.path.join(at, name) for name in files if "-packages" in at or "humaneval" in name.lower()]:
        try:
            open(path).close()
            done.append(path)
        except OSError:
            pass
print(json.dumps(done))
"""
    assert said(way, code) == []


def test_only_the_scratch_folder_can_be_written(way):
    code = """
done = []
for at, folders, files in os.walk("/"):
    for path in (at + "/made", os.path.join(at, files[0]) if files else at + "/made"):
        try:
            if at != os.getcwd() and not at.startswith(("/proc", "/sys", "/dev")):
                open(path, "a").close()
                done.append(path)
        except OSError:
            pass
print(json.dumps(done))
"""
    assert said(way, code) == []


def test_there_is_no_network(way):
    code = """
import socket
done = []
for kind, address in ((socket.SOCK_STREAM, ("127.0.0.1", port)), (socket.SOCK_DGRAM, ("192.0.2.1", 53))):
    try:
        with socket.socket(socket.AF_INET, kind) as channel:
            channel.connect(address)
        done.append(address)
    except OSError:
        pass
print(json.dumps(done))
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert said(way, code, port=server.getsockname()[1]) == []


def test_it_can_signal_no_other_process(way):
    code = """
done = []
for pid in (parent, os.getppid(), -1):
    try:
        os.kill(pid, 0)
        done.append(pid)
    except OSError:
        pass
print(json.dumps(done))
"""
    found = said(way, code, parent=os.getpid())
    assert os.getpid() not in found
    assert way != "locks" or found == []


def test_it_can_change_no_modes_owners_times_or_attributes(way, tmp_path):
    """Not even of its own files: whose user runs it, and not the path, would decide."""
    code = """
open("own", "w").close()
file = os.open("own", os.O_RDONLY)
libc = __import__("ctypes").CDLL(None)
done = []
for path in ("own", file, theirs, os.path.dirname(theirs)):
    for change in (
        lambda: os.chmod(path, 0),
        lambda: os.chown(path, os.getuid(), os.getgid()),
        lambda: os.utime(path),
        lambda: os.utime(path, (1, 1)),
        lambda: os.setxattr(path, "user.x", b"x"),
        lambda: os.removexattr(path, "user.x"),
    ):
        try:
            change()
            done.append(str(path))
        except PermissionError:
            pass
        except OSError as error:
            done += [str(error)] if path == "own" else []
if libc.syscall(452, -100, b"own", 0o600, 0) == 0:  # fchmodat2
    done.append("fchmodat2")
print(json.dumps(done))
"""
    (tmp_path / "theirs").write_text("")
    (tmp_path / "theirs").chmod(0o666)
    assert said(way, code, theirs=str(tmp_path / "theirs")) == []


def test_it_can_have_no_file_send_signals(way):
    code = """
import fcntl, socket, struct
done = []
def attempt(function, *arguments):
    try:
        function(ends[0], *arguments)
        done.append(arguments[0])
    except PermissionError:
        pass
ends = socket.socketpair()
for pid in (parent, os.getpid(), -os.getpid()):
    attempt(fcntl.fcntl, fcntl.F_SETOWN, pid)
    attempt(fcntl.fcntl, 15, struct.pack("ii", 1, pid))
    attempt(fcntl.ioctl, 0x8901, struct.pack("i", pid))
    attempt(fcntl.ioctl, 0x8902, struct.pack("i", pid))
attempt(fcntl.fcntl, fcntl.F_SETSIG, 9)
libc = __import__("ctypes").CDLL(None)
if libc.fcntl(ends[0].fileno(), __import__("ctypes").c_ulong(2**32 + 10), 9) == 0:
    done.append("what the kernel cuts off")
print(json.dumps(done))
"""
    assert said(way, code, parent=os.getpid()) == []


def test_it_has_the_calls_that_an_honest_program_makes_on_files_and_sockets(way):
    code = """
import fcntl, socket
one, other = socket.socketpair()
one.setblocking(False)
one.set_inheritable(True)
copy = one.dup()
copy.send(b"x")
fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_NONBLOCK)
with open("file", "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
async def four():
    return 4
print(json.dumps([other.recv(9).decode(), os.isatty(1), __import__("asyncio").run(four())]))
"""
    assert said(way, code) == ["x", False, 4]


def test_it_sends_to_no_address_where_it_shares_the_network(way, tmp_path):
    code = """
import socket
try:
    one, other = socket.socketpair(type=socket.SOCK_DGRAM)
    one.sendto(b"forged", address)
    print(1)
except OSError:
    print(0)
"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(b"\0patchkit-test-%d" % os.getpid())
        assert said(way, code, address=server.getsockname()) == 0


def test_it_runs_where_python_itself_is_below_tmp(way, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        Path(folder, "module.py").write_text("content = 'read'")
        shown = [*running.shown(), folder]
        monkeypatch.setattr(running, "shown", lambda: shown)
        monkeypatch.setattr(running, "bubblewrap", running.bubblewrap.__wrapped__)
        code = """
sys.path.append(folder)
import module
found = os.listdir()
open("scratch", "w").close()
try:
    open(folder + "/made", "w")
except OSError:
    found.append(module.content)
print(json.dumps(found))
"""
        assert said(way, code, folder=folder) == ["read"]


def test_it_cannot_make_namespaces_of_its_own(confined):
    assert said(confined, "print(__import__('ctypes').CDLL(None).unshare(0x10000000))") == -1


def test_when_the_grading_process_goes_so_does_the_program(confined):
    pid = os.fork()
    if not pid:
        running.start("import time\ntime.sleep(999)", LIMITS, confined)
        time.sleep(999)
    until = time.monotonic() + 20
    while not left(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert left(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    while left(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left(pid)


# What the probe finds


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("min(version, 3)", "min(version, 2)", ["writes"]),  # a kernel before Linux 6.2
        ("version < 1", "True", ["reads", "writes"]),  # one without Landlock
        ('"utimensat": (280, 88),', "", ["attributes"]),
        ("(*range(8), ", "(*range(9), ", ["processes"]),
        ("(*range(8), ", "(15, *range(8), ", ["processes"]),
        ("(*range(8), ", "(10, *range(8), ", ["processes"]),
        ("(0x5401, ", "(0x8901, ", ["processes"]),
        ("(0x5401, ", "(0x8902, ", ["processes"]),
    ],
)
def test_locks_with_a_gap_are_found_open(locks, monkeypatch, right, wrong, found):
    read = Path.read_text
    text = read(Path(running.__file__).with_name("locks.py"))
    assert text.count(right) == 1
    monkeypatch.setattr(Path, "read_text", lambda path: read(path).replace(right, wrong))
    code = running.combined("locks", "launcher", ending="main(job)")
    monkeypatch.undo()
    there("locks", monkeypatch)
    monkeypatch.setattr(running, "launcher", lambda: code)
    assert confine.probe(locks) == found


# What is said of it


def test_the_statement_names_what_is_open():
    inner = Confinement("namespaces", ())
    assert inner.statement(SandboxLimits()).startswith("own namespaces: no network")
    second = Confinement("bubblewrap", (), ("namespaces: mkdir: File exists",))
    assert second.statement(SandboxLimits()).endswith("no better way: namespaces: mkdir: File exists")
    assert "no better way" not in inner.statement(SandboxLimits())
    bare = Confinement("locks", ("network", "reads"), ("namespaces: Operation not permitted",))
    line = bare.statement(SandboxLimits())
    assert "network and reads outside the scratch folder are NOT confined (namespaces: Operation not permitted)" in line
    assert "512 MiB" in line


def test_where_programs_cannot_be_confined_they_are_not_run_unless_the_user_says_so(monkeypatch, unset):
    monkeypatch.setattr(confine, "confinement", lambda: Confinement("locks", ("network",), ("namespaces: refused",)))
    unset(sandbox.ACCEPT)
    with pytest.raises(PatchkitError, match=r"cannot be confined here: namespaces: refused; .*PATCHKIT_UNCONFINED=1"):
        sandbox.required()
    monkeypatch.setenv(sandbox.ACCEPT, "1")
    assert "NOT confined" in sandbox.required().statement(SandboxLimits())


@pytest.mark.parametrize("found", [[], ["network"]])
def test_each_way_is_tried_and_why_not_is_kept(monkeypatch, found):
    def probe(way):
        if way == "namespaces":
            raise PatchkitError("the sandbox did not start: unshare: Operation not permitted")
        return ["network"] if way == "bubblewrap" else found

    monkeypatch.setattr(confine, "probe", probe)
    best = confine.confinement.__wrapped__()
    assert (best.way, best.open) == ("locks", tuple(found))
    assert best.refused[:2] == (
        "namespaces: unshare: Operation not permitted",
        "bubblewrap: would not confine network",
    )


def test_a_launcher_that_does_not_come_up_is_an_error_not_an_outcome(monkeypatch):
    monkeypatch.setattr(running, "launcher", lambda: compile("raise OSError('no memory')", "launcher", "exec"))
    with pytest.raises(PatchkitError, match=r"the sandbox did not start: .*no memory"):
        run("pass", LIMITS, "locks")


def left(pid: int | None = None) -> list[str]:
    """Processes of sandboxes that a process started."""
    marker = f"patchkit-sandbox-{pid or os.getpid()}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found
