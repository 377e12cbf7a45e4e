"""The resources that a program may use."""

from __future__ import annotations

import msgspec

MIB = 2**20


class SandboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Set with setrlimit in every way of confining, except for ``seconds``, ``output`` and ``scratch``, which we watch.

    Attributes:
        seconds: from start to end, asleep or not. Generous, since a busy host must not turn a right answer wrong.
        cpu: seconds of processor time of each process, on which an endless loop ends.
        memory: bytes of address space of each process.
        processes: processes and threads at a time.
        file: bytes of the largest file.
        files: open files of each process.
        output: bytes on stdout and stderr together.
        scratch: bytes of all files in the scratch folder.
    """

    seconds: float = 30
    cpu: int = 5
    memory: int = 512 * MIB
    processes: int = 8
    file: int = 4 * MIB
    files: int = 32
    output: int = MIB
    scratch: int = 16 * MIB

    def __str__(self) -> str:
        return (
            f"{self.seconds:g} s, {self.cpu} s of processor time and {self.memory // MIB} MiB a process, "
            f"{self.processes} processes, {self.file // MIB} MiB a file, {self.output // MIB} MiB of output"
        )
