"""A mutant: a small patch that makes the runtime wrong on purpose, and the gate that must go red."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from packaging.specifiers import SpecifierSet
from unidiff.patch import PatchSet

from patchkit.errors import PatchkitError
from patchkit.model_runner import RUNNERS, ModelRunner
from patchkit.series.header_fields import applies_to, catch, depends
from patchkit.series.mail import Form, Mail, content_of, read_mail
from patchkit.series.patch import Catch

FAMILIES = {
    "rows": "rows that are left out, doubled, shifted, or not the ones meant",
    "slot": "the wrong place in a buffer",
    "owner": "a row credited to another prompt or sample",
    "stale": "state of an earlier step, call or request used again",
    "formula": "another sum than the method's",
    "optimiser": "another training step than the method's",
    "order": "the right things in the wrong order",
    "silent": "nothing at all, from some step, size or call on",
    "counters": "counts that are not what happened",
    "features": "something of vLLM's own that gets lost",
    "lifecycle": "install, uninstall, refusal, several engines, memory",
}
"""The families, and what a mutant of each does."""

FILE_NAME = re.compile(r"\d{3}-[A-Za-z0-9][A-Za-z0-9._-]*\.patch", re.ASCII)
FORM = Form(
    required=("Family",),
    optional=("Caught-By", "Equivalent", "Applies-To", "Runner", "Device", "Depends"),
    repeated=("Caught-By",),
    rewrite="see `A mutant` in CONTRIBUTING.md; `git diff --src-prefix=a/ --dst-prefix=b/` writes the diff",
    whole=False,
)


@dataclass(frozen=True)
class Mutant:
    """A wrong patch on top of a whole series: what is wrong, its family, which gate must catch it, and the diff.

    ``equivalent`` says why no gate can distinguish it from the unchanged runtime; then it has no ``caught_by``.
    ``runner`` is the model runner under which it is wrong, the first unless it says.
    ``needs_cuda``: it is wrong on a GPU alone.
    ``depends`` are patches of the series whose code it changes: a release that does not take them does not take it.
    """

    path: Path
    subject: str
    body: str
    family: str
    caught_by: tuple[Catch, ...]
    equivalent: str
    applies_to: SpecifierSet
    runner: ModelRunner
    needs_cuda: bool
    depends: tuple[str, ...]
    diff: str
    patch_set: PatchSet = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file's name without its suffix, e.g. ``017-every-second-row``."""
        return self.path.stem

    @property
    def number(self) -> int:
        return int(self.name[:3])

    @property
    def expected(self) -> str:
        """The expected result according to the header, in a line."""
        return "; ".join(f"{gate}: {reason.pattern}" for gate, reason in self.caught_by)

    def __bytes__(self) -> bytes:
        """Its file; the diff has the bytes of the files that it changes, which need not be UTF-8."""
        return str(self).encode(errors="surrogateescape")

    def __str__(self) -> str:
        return f"Subject: {self.subject}\n\n{self.body}\n---\n\n{self.diff}"


def read_mutant(path: Path) -> Mutant:
    """The mutant in the file at ``path``.

    Raises:
        PatchkitError: it cannot be read, or its name, header or diff is malformed.
    """
    return parse_mutant(content_of(path), path)


def parse_mutant(content: bytes, path: Path) -> Mutant:
    """The mutant in ``content``, which belongs at ``path``.

    Raises:
        PatchkitError: the name, header or diff is malformed; says which line or field, and what to do.
    """
    if not FILE_NAME.fullmatch(path.name):
        raise PatchkitError(f"{path}: not the name of a mutant", "call it NNN-what-is-wrong.patch")
    mail = read_mail(content, path, FORM)
    fields = mail.fields
    return Mutant(
        path=path,
        subject=mail.subject,
        body=mail.body,
        family=_family(mail),
        caught_by=_caught_by(mail),
        equivalent=fields.get("Equivalent", [""])[0],
        applies_to=applies_to(fields.get("Applies-To", ["vllm"])[0], path),
        runner=_runner(mail),
        needs_cuda=_needs_cuda(mail),
        depends=depends(fields.get("Depends", ()), path),
        diff=mail.diff,
        patch_set=mail.patch_set,
    )


def _family(mail: Mail) -> str:
    """The family; it must match the folder that the mutant is in."""
    family, folder = mail.fields["Family"][0], mail.path.parent.name
    if family not in FAMILIES:
        raise mail.bad("Family", f"`{family}` is none", f"there are {', '.join(FAMILIES)}")
    if folder in FAMILIES and folder != family:
        raise mail.bad("Family", f"`{family}`, but the mutant is in {folder}/", "move the file, or name its folder")
    return family


def _runner(mail: Mail) -> ModelRunner:
    named = mail.fields.get("Runner", [RUNNERS[0]])[0]
    for runner in RUNNERS:
        if named == runner:
            return runner
    raise mail.bad("Runner", f"`{named}` is none", f"there are {', '.join(RUNNERS)}")


def _needs_cuda(mail: Mail) -> bool:
    named = mail.fields.get("Device", [""])[0]
    if named not in ("", "cuda"):
        raise mail.bad("Device", f"`{named}` is none", "it is cuda, or is left out")
    return named == "cuda"


def _caught_by(mail: Mail) -> tuple[Catch, ...]:
    """The gates that must catch it; none only if it is equivalent."""
    catches = tuple(catch(value, mail.path) for value in mail.fields.get("Caught-By", ()))
    if not catches and "Equivalent" not in mail.fields:
        fix = "name the gate that must go red, or say in Equivalent why none can"
        raise mail.bad("Caught-By", "missing", fix)
    if catches and "Equivalent" in mail.fields:
        raise mail.bad("Equivalent", "an equivalent mutant is caught by nothing", "keep Equivalent or Caught-By")
    for gate, reason in catches:
        if reason.search(""):
            raise mail.bad("Caught-By", f"`{gate}: {reason.pattern}` matches any reason", "say what the gate must say")
    return catches
