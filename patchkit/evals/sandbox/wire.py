"""The protocol between the checker and the candidate: plain values, as JSON in frames with a length.

The checker must be able to read whatever a hostile program sends: only values of built-in types come out, made here,
and anything else is an exception. Runs inside the sandbox, so it imports nothing of patchkit, and little else.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHANNEL = 3  # the file that the launcher leaves open
MOST = 4 * 2**20  # bytes of a frame
MOST_ITEMS = 10_000  # of an iterator, which may have no end


class Other:
    """Stands for a value of a type that is not plain. Equal to nothing, and only as true as it was."""

    def __init__(self, truth: bool) -> None:
        self.truth = truth

    def __bool__(self) -> bool:
        return self.truth


def encode(value: Any) -> Any:
    """A value as JSON has it. Subclasses are taken as the built-in type that they extend."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(item) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in tuple.__iter__(value)]}
    if isinstance(value, (set, frozenset)):
        return {"set" if isinstance(value, set) else "frozenset": [encode(item) for item in list(value)]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in dict.items(value)]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if hasattr(value, "__next__"):
        return {"iterator": [encode(item) for item, _ in zip(value, range(MOST_ITEMS), strict=False)]}
    return {"other": bool(value)}


MAKE: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda items: tuple(decode(items)),
    "set": lambda items: set(decode(items)),
    "frozenset": lambda items: frozenset(decode(items)),
    "iterator": lambda items: iter(decode(items)),
    "dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
    "bytes": bytes.fromhex,
    "other": lambda truth: Other(truth is True),
}


def decode(value: Any) -> Any:
    """The value that JSON stands for.

    Raises:
        Exception: of some kind, if it stands for none.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(name, inner)] = value.items()
    return MAKE[name](inner)


def frame(message: Any) -> bytes:
    """A message with its length.

    Raises:
        ValueError: if it is too long.
    """
    text = json.dumps(message).encode()
    if len(text) > MOST:
        raise ValueError(f"more than {MOST} bytes")
    return len(text).to_bytes(4, "big") + text


def send(framed: bytes) -> None:
    """Sends a message.

    Raises:
        OSError: if the other side is gone.
    """
    left = memoryview(framed)
    while left:
        left = left[os.write(CHANNEL, left) :]


def receive() -> Any:
    """The next message.

    Raises:
        EOFError, OSError: if the other side is gone.
        ValueError: if it is no message.
    """
    length = int.from_bytes(exactly(4), "big")
    if length > MOST:
        raise ValueError(f"more than {MOST} bytes")
    return json.loads(exactly(length))


def exactly(length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        chunk = os.read(CHANNEL, min(length - len(parts), 65536))
        if not chunk:
            raise EOFError("the other side is gone")
        parts += chunk
    return bytes(parts)
