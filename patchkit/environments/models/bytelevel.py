"""Byte-level vocabularies: each byte has a printable stand-in, so that any text can be encoded and spelled in JSON."""

from __future__ import annotations


def alphabet() -> list[str]:
    """The stand-in of each of the 256 bytes: itself if it is printable Latin-1, else the next code point from 256."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def stand_in(text: str) -> str:
    """``text`` as the vocabulary spells it."""
    letters = alphabet()
    return "".join(letters[byte] for byte in text.encode())
