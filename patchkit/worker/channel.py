"""JSON lines on a file descriptor."""

import json
import os
from typing import Any


class Channel:
    """Writes one event a line, whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: str, **fields: Any) -> None:
        self.relay(json.dumps({"event": event, **fields}).encode() + b"\n")

    def relay(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]


class LineReader:
    """Splits what a descriptor delivers into lines."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> tuple[list[bytes], bool]:
        """Complete lines that are there now, and whether the other side has closed."""
        data = os.read(self.descriptor, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines, not data
