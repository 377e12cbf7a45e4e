"""What the kernel refuses a program for good: system calls by seccomp, files by Landlock.

With namespaces this is a second layer, which keeps a program from parts of the kernel that no honest solution needs.
On a host without namespaces it is the only one. Runs inside, before launcher.py and in the same names.
"""

# ruff: noqa: PTH118, PTH208
from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# System calls by number, on x86_64 and on aarch64.
NEVER = {
    "shmget": (29, 194),  # memory that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "msgget": (68, 186),
    "semget": (64, 190),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "chmod": (90, None),  # whose file it is may do these by path, and Landlock does not cover them
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
# Of these, only with these values of the second argument. Not among them: what has a file send signals (F_SETOWN,
# F_SETSIG, FIOSETOWN and their like), what changes a file's flags, a socket that can send to an address.
ONLY_WITH = {
    "fcntl": ((72, 25), (*range(8), 1030, 1031, 1032)),  # to copy, flags, locks, the size of a pipe
    "ioctl": ((16, 29), (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),  # a terminal? bytes? flags
    "socketpair": ((53, 199), (1, 0x801, 0x80001, 0x80801)),  # SOCK_STREAM
}
REFUSED_ON_THE_HOST = {  # where the program shares the network, the process ids and the System V objects of the host
    "socket": (41, 198),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "inotify_add_watch": (254, 27),
    "fanotify_mark": (301, 263),
}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
SET_SECCOMP, FILTER = 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# what a version of Landlock can refuse; the third can refuse truncate, and from there on we need no more
EVERYTHING = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF}

libc = ctypes.CDLL(None, use_errno=True)


def refuse_calls(on_the_host: bool) -> None:
    """Has the kernel answer EPERM to these system calls."""
    column, architecture = ARCHITECTURES[os.uname().machine]
    everywhere = (NEVER | REFUSED_ON_THE_HOST if on_the_host else NEVER).values()
    refused = [number for numbers in everywhere if (number := numbers[column]) is not None]
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (6, 0, 0, KILL), (0x20, 0, 0, 0)]
    for numbers, values in ONLY_WITH.values():  # the second argument's low half is all that the kernel looks at
        program += [(0x15, 0, len(values) + 3, numbers[column]), (0x20, 0, 0, 24)]
        program += [(0x15, len(values) - at, 0, value) for at, value in enumerate(values)]
        program += [(6, 0, 0, REFUSE), (6, 0, 0, ALLOW)]
    program += [(0x35, len(refused) + 1, 0, 0x40000000)]  # the numbers of x86_64's other way to call
    program += [(0x15, len(refused) - at, 0, number) for at, number in enumerate(refused)]
    program += [(6, 0, 0, ALLOW), (6, 0, 0, REFUSE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    pointer = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    if libc.prctl(SET_SECCOMP, FILTER, pointer, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def refuse_files(readable: Iterable[str], scratch: str) -> bool:
    """Lets only these folders be read, without the packages installed there, and only the scratch folder be written.

    False if the kernel has no Landlock.
    """
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    everything = EVERYTHING[min(version, 3)]
    handled = ctypes.c_uint64(everything)
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(handled), 8, 0)
    for folder in readable:
        if os.path.isdir(folder):  # noqa: PTH112
            allow(ruleset, folder, READ_DIR)
            for path in children_of(folder):
                allow(ruleset, path, READ_FILE | (READ_DIR if os.path.isdir(path) else 0))  # noqa: PTH112
    allow(ruleset, scratch, everything)
    allow(ruleset, os.devnull, READ_FILE | 1 << 1)
    if ruleset < 0 or libc.syscall(RESTRICT_SELF, ruleset, 0) < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    os.close(ruleset)
    return True


def children_of(folder: str) -> list[str]:
    """What lies in a folder and in its Python folders, but for installed packages."""
    found = []
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith("python") and os.path.isdir(path):  # noqa: PTH112
            found += children_of(path)
        elif not name.endswith("-packages"):
            found.append(path)
    return found


def allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # a link to nowhere
        return
    attributes = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor))
    libc.syscall(ADD_RULE, ruleset, 1, attributes, 0)
    os.close(descriptor)
