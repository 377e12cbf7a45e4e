"""``patches/<runtime>/proven.yaml``: on which release, model runner and device the gates were green or red.

``patchkit prove`` makes it from evidence; nobody edits it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from packaging.version import Version

from patchkit.documents import field_first, read_yaml
from patchkit.errors import PatchkitError
from patchkit.mode import Mode
from patchkit.model_runner import ModelRunner

NAME = "proven.yaml"
HEAD = """\
# Where the gates were green or red, by the evidence that each line names. Made by `patchkit prove`; do not edit.
"""


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the gates found on one release, with one model runner, on one device.

    Attributes:
        gpu: its name; None on the CPU.
        mode: how vLLM ran the forward pass.
        gates: how many ran.
        red: names of those that are not green; empty means proven.
        patches: numbers of those in the tree that they ran on.
        tree: git's hash of that tree.
        date: the day, ISO 8601.
        evidence: name of the file.
    """

    release: str
    runner: ModelRunner
    device: str
    gpu: str | None = None
    mode: Mode = "eager"
    gates: int
    red: tuple[str, ...] = ()
    patches: tuple[int, ...]
    tree: str
    date: str
    evidence: str

    @property
    def green(self) -> bool:
        return not self.red

    @property
    def score(self) -> str:
        """``12 of 12``."""
        return f"{self.gates - len(self.red)} of {self.gates}"


class Unhooked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A release of which ``patchkit drift`` says that vLLM runs models with a class that the runtime does not hook.

    Attributes:
        models: each as ``LlamaForCausalLM on cuda``.
    """

    release: str
    models: tuple[str, ...]


class ProvenTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is known of a pin, the oldest release first.

    Attributes:
        drift_read: the newest release that ``patchkit drift`` was asked about; empty if there is no such evidence.
    """

    pin: str = ""
    proofs: tuple[Proof, ...] = ()
    unhooked: tuple[Unhooked, ...] = ()
    drift_read: str = ""

    def of(self, release: str, runner: ModelRunner, device: str, mode: Mode = "eager") -> list[Proof]:
        """What is known of one release, model runner, device and mode: a line a GPU."""
        wanted = (Version(release), runner, device, mode)
        return [one for one in self.proofs if (Version(one.release), one.runner, one.device, one.mode) == wanted]

    def releases(self, runner: ModelRunner | None = None, device: str | None = None, mode: Mode = "eager") -> list[str]:
        """Releases that are proven, the oldest first; with any model runner and on any device unless they are given."""
        green = [
            one.release
            for one in self.proofs
            if one.green and runner in (None, one.runner) and device in (None, one.device) and one.mode == mode
        ]
        return sorted({*green}, key=Version)

    def newest(self, runner: ModelRunner = "v1", device: str = "cpu") -> str:
        """The newest release that is proven with a model runner on a device, else on any; empty if none is."""
        found = self.releases(runner, device) or self.releases()
        return found[-1] if found else ""

    def unhooked_models(self, release: str, device: str) -> list[str]:
        """Models that a class without hooks runs on a device, as far as drift was read."""
        said = [one for one in self.unhooked if Version(one.release) <= Version(release)]
        suffix = f" on {device}"
        models = said[-1].models if said else ()
        return [model.removesuffix(suffix) for model in models if model.endswith(suffix)]


def read_proven(folder: Path, pin: str) -> ProvenTable:
    """The table of the runtime in ``folder``; an empty one if there is none, or if it is of another pin.

    Raises:
        PatchkitError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return ProvenTable()
    try:
        table = msgspec.convert(read_yaml(path), ProvenTable)
        [*map(Version, (*(one.release for one in table.proofs), *(one.release for one in table.unhooked)))]
    except (msgspec.ValidationError, ValueError) as error:
        raise PatchkitError(f"{path}: {field_first(str(error))}", "make it again with `patchkit prove`") from None
    return table if table.pin == pin else ProvenTable()


def to_yaml(table: ProvenTable) -> str:
    lines = [f"pin: {_flow(table.pin)}", *_rows("proofs", table.proofs)]
    lines += [*_rows("unhooked", table.unhooked), f"drift_read: {_flow(table.drift_read)}"]
    return HEAD + "".join(f"{line}\n" for line in lines)


def _rows(key: str, rows: Iterable[msgspec.Struct]) -> list[str]:
    lines = [f"- {_flow(msgspec.to_builtins(row))}" for row in rows]
    return [f"{key}:", *lines] if lines else [f"{key}: []"]


def _flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()
