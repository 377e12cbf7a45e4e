"""The corpus of answer texts: what each of them comes down to, by family, in a part tuned on and two that are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import yaml

FOLDER = Path(__file__).parent / "answers"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text and its right reading; ``reads`` is None where nothing can be read."""

    id: str
    family: str
    text: str
    reads: str | None

    @property
    def part(self) -> str:
        """``independent`` texts were written without sight of the reader; a third of most others is ``held back``."""
        if self.id.startswith("in"):
            return "independent"
        if self.id.startswith("st"):  # none of them was held back
            return "tuned on"
        return "tuned on" if hashlib.sha256(self.id.encode()).digest()[0] % 3 else "held back"


def entries() -> list[Entry]:
    found = [
        msgspec.convert(item, Entry)
        for path in sorted(FOLDER.glob("integer_*.yaml"))
        for item in yaml.safe_load(path.read_text("utf-8"))
    ]
    if len({entry.id for entry in found}) != len(found):
        raise ValueError(f"two entries in {FOLDER} have one id")
    return found
