"""Programs that try to do harm, or to count as a pass. CANARY, PORT and PID are given: a file, a port, a process.

What must not work is written so that it shows: by the canary's loss, by a connection, by a process that is left.
"""

HOSTILE = {
    "fork bomb": r"""
import os
while True:
    os.fork()
""",
    "fork bomb that goes on": r"""
import os
while True:
    try:
        if not os.fork():
            os.setsid()
    except OSError:
        pass
""",
    "thread bomb": r"""
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(99,)).start()
""",
    "memory bomb": r"""
x = []
while True:
    x.append(bytearray(2**24))
""",
    "memory bomb in children": r"""
import os
for _ in range(3):
    os.fork()
x = []
while True:
    x.append(bytearray(2**24))
""",
    "memory in files of memory": r"""
import os
files = [os.memfd_create(str(i)) for i in range(20)]
for file in files:
    while True:
        os.write(file, bytes(2**20))
""",
    "memory in shared segments": r"""
import ctypes
libc = ctypes.CDLL(None)
if any(libc.shmget(0, 2**27, 0o1600) >= 0 for _ in range(100)):
    open(CANARY, 'w')
1 / 0
""",
    "endless loop": r"""
while True:
    pass
""",
    "endless loop that ignores signals": r"""
import signal
for s in range(1, 65):
    try:
        signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
    "sleep": r"""
import time
time.sleep(9999)
""",
    "sleep that ignores signals": r"""
import signal, time
signal.signal(15, signal.SIG_IGN)
signal.signal(14, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True:
    time.sleep(999)
""",
    "sleep in the call": r"""
def double(x):
    import time
    time.sleep(9999)
""",
    "stop": r"""
import os
os.kill(os.getpid(), 19)
""",
    "output flood": r"""
while True:
    print('x' * 10000)
""",
    "output flood in children": r"""
import os
os.fork()
while True:
    os.write(2, b'x' * 10000)
""",
    "reads /etc/passwd": r"""
print(open('/etc/passwd').read())
""",
    "reads the host's file": r"""
print(open(CANARY).read())
""",
    "deletes the host's file": r"""
import os
os.unlink(CANARY)
""",
    "deletes everything": r"""
import shutil
shutil.rmtree('/', ignore_errors=True)
""",
    "writes beside it": r"""
import os
open(os.path.dirname(CANARY) + '/mine', 'w').write('x')
""",
    "overwrites the library": r"""
import json
open(json.__file__, 'a').write('#')
""",
    "remounts": r"""
import ctypes
libc = ctypes.CDLL(None)
libc.mount(b'none', b'/', None, 32 | 4096, None)
libc.unshare(0x10000000 | 0x20000)
open('/x', 'w')
""",
    "opens a socket": r"""
import socket
socket.create_connection(('127.0.0.1', PORT), 1)
""",
    "opens a socket in a child": r"""
import os, socket
if not os.fork():
    os.setsid()
    socket.create_connection(('127.0.0.1', PORT), 1)
""",
    "kills its parent": r"""
import os
os.kill(os.getppid(), 9)
raise ValueError
""",
    "kills the grading process": r"""
import os
os.kill(PID, 9)
""",
    "kills everyone": r"""
import os
os.kill(-1, 9)
""",
    "traces its parent": r"""
import ctypes, os
if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0:
    open(CANARY, 'w')
1 / 0
""",
    "shuts the host's file": r"""
import os
for path in (CANARY, os.path.dirname(CANARY)):
    for change, *arguments in ((os.chmod, 0), (os.utime, (0, 0)), (os.setxattr, 'user.x', b'x')):
        try:
            change(path, *arguments)
        except OSError:
            pass
raise ValueError
""",
    "truncates the host's file": r"""
import os
try:
    os.truncate(CANARY, 0)
finally:
    os.open(CANARY, os.O_RDONLY | os.O_TRUNC)
""",
    "has a file kill the grading process": r"""
import fcntl, os, socket
one, other = socket.socketpair()
try:
    fcntl.fcntl(one, fcntl.F_SETOWN, PID)
    fcntl.fcntl(one, fcntl.F_SETSIG, 9)
finally:
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC)
    other.send(b'x')
""",
    "has a file kill its parent": r"""
import fcntl, os, socket, struct
one, other = socket.socketpair()
try:
    fcntl.fcntl(one, 15, struct.pack('ii', 1, os.getppid()))
    fcntl.ioctl(one, 0x8901, struct.pack('i', os.getppid()))
finally:
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC)
    other.send(b'x')
    raise ValueError
""",
    "leaves a daemon": r"""
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        os.closerange(0, 9)
        time.sleep(9999)
    os._exit(0)
raise ValueError
""",
    "exits before the asserts": r"""
import os
os._exit(0)
""",
    "exits in the call": r"""
def double(x):
    import os
    os._exit(0)
""",
    "raises SystemExit": r"""
raise SystemExit(0)
""",
    "patches assert": r"""
import builtins
builtins.AssertionError = type('E', (BaseException,), {})
def double(x):
    return 5
""",
    "patches the builtins": r"""
import builtins, sys
for name in ('exec', 'compile', 'isinstance', 'len', 'getattr'):
    setattr(builtins, name, lambda *a, **k: True)
sys.modules.clear()
def double(x):
    return 5
""",
    "raises what passes for an assert": r"""
def double(x):
    raise AssertionError('pass')
""",
    "hooks the interpreter": r"""
import sys
sys.settrace(lambda *a: None)
sys.exit = sys.excepthook = print
def double(x):
    return 5
""",
    "is equal to everything": r"""
class Equal(int):
    __eq__ = __ne__ = lambda *a: True
    __hash__ = None
class Any:
    __eq__ = __ne__ = lambda *a: True
def double(x):
    return Equal(5) if x == 2 else Any()
""",
    "prints the verdict": r"""
import os
for fd in (1, 2):
    os.write(fd, b'pass')
os._exit(0)
""",
    "writes the verdict wherever it can": r"""
import os
for fd in range(3, 4096):
    try:
        os.write(fd, b'pass')
    except OSError:
        pass
os._exit(0)
""",
    "writes the launcher's report": r"""
import os
for fd in range(3, 4096):
    try:
        os.write(fd, b'began\nexit 0\n')
    except OSError:
        pass
os._exit(0)
""",
    "answers before it is asked": r"""
import json, os
def send(x):
    text = json.dumps(x).encode()
    os.write(3, len(text).to_bytes(4, 'big') + text)
send({'ready': True})
send({'pass': True})
send('pass')
os._exit(0)
""",
    "sends a nest": r"""
import os
text = b'[' * 2**20
os.write(3, len(text).to_bytes(4, 'big') + text)
os._exit(0)
""",
    "sends without end": r"""
import os
os.write(3, b'\xff' * 4)
while True:
    os.write(3, b'x' * 4096)
""",
    "returns a nest": r"""
def double(x):
    for _ in range(100000):
        x = [x]
    return x
""",
    "returns without end": r"""
def double(x):
    while True:
        yield 4
""",
    "writes a huge file": r"""
f = open('/tmp/big', 'wb')
while True:
    f.write(bytes(2**20))
""",
    "writes many files": r"""
for i in range(10**6):
    open(f'/tmp/{i}', 'w').write('x' * 4096)
""",
    "recurses": r"""
import sys
sys.setrecursionlimit(10**9)
def f():
    f()
f()
""",
    "crashes": r"""
import ctypes
ctypes.string_at(0)
""",
    "looks for the check": r"""
import gc, sys
assert 'candidate' not in str([o for o in gc.get_objects() if type(o) is dict])
raise ValueError
""",
    "reads memory of others": r"""
import os
for pid in os.listdir('/proc'):
    open(f'/proc/{pid}/mem', 'r+b')
    open(CANARY, 'w')
""",
}
