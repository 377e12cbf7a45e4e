"""Patch files read: bytes in, a :class:`Patch` or one clear line out."""

from __future__ import annotations

import email
import re
from datetime import datetime, timezone
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import Any, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from patchkit.errors import PatchkitError
from patchkit.series.patch import Catch, Kind, Patch

FILE_NAME = re.compile(r"\d{4}-[A-Za-z0-9][A-Za-z0-9._-]*\.patch", re.ASCII)
REQUIRED = ("Drift", "Symbol", "Applies-To", "Symptom", "Caught-By", "Forwarded")
REPEATED = ("Caught-By", "Signed-off-by")
FIELDS = (*REQUIRED, "Depends", "Signed-off-by")
FIELD_LINE = re.compile(r"([A-Z][A-Za-z-]*):(?: +(.*))?")
MAILBOX_LINE = re.compile(r"From [0-9a-f]{40} \S")
MESSAGE_END = re.compile(r"---\s*$|--- \S|diff -|Index: ")  # where git's mailinfo ends the message
SIGNATURE = re.compile(r"\n-- \n[^\n]*\n\s*\Z")
INDEX_LINE = re.compile(r"index [0-9a-f]{40}\.\.[0-9a-f]{40}( \d{6})?")
REWRITE = "write it with `python -m patchkit.series.export` or `git format-patch --full-index`"


def read_patch(path: Path) -> Patch:
    """The patch in the file at ``path``.

    Raises:
        PatchkitError: it cannot be read, or its name, header or diff is malformed.
    """
    try:
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror}", "check the file and its permissions") from error


def parse(content: bytes, path: Path) -> Patch:
    """The patch in ``content``, which belongs at ``path``.

    Raises:
        PatchkitError: the name, header or diff is malformed; says which line or field, and what to do.
    """
    if not FILE_NAME.fullmatch(path.name):
        raise PatchkitError(f"{path}: not the name of a patch", "call it NNNN-what-it-mends.patch")
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PatchkitError(f"{path}:{line}: not UTF-8", "save the file as UTF-8") from error
    if not MAILBOX_LINE.match(lines[0]):
        raise PatchkitError(f"{path}:1: does not begin with `From <40 hex digits>`", REWRITE)
    blank = lines.index("") if "" in lines else len(lines)
    end = next((at for at in range(blank, len(lines)) if MESSAGE_END.match(lines[at])), len(lines))
    start = next((at for at in range(end, len(lines)) if lines[at].startswith("diff --git ")), len(lines))
    if "\r" in "".join(lines[:end]):
        raise PatchkitError(f"{path}: carriage returns in the header", "save the file with plain line ends")
    mail = email.message_from_string("\n".join(lines[1:blank]) + "\n\n")
    body, fields = _message(lines[blank + 1 : end], blank + 2, path)
    drift, kind = _drift(fields, path)
    diff = SIGNATURE.sub("\n", "\n".join(lines[start:])).rstrip("\n") + "\n"
    return Patch(
        path=path,
        subject=_subject(mail, path),
        body=body,
        drift=drift,
        kind=kind,
        symbol=fields["Symbol"][0],
        applies_to=_applies_to(fields, path),
        symptom=fields["Symptom"][0],
        caught_by=tuple(_catch(value, path) for value in fields["Caught-By"]),
        depends=_depends(fields, path),
        forwarded=fields["Forwarded"][0],
        signed_off_by=tuple(fields.get("Signed-off-by", ())),
        author=_author(mail, path),
        date=_date(mail, path),
        stat="\n".join(line.rstrip() for line in lines[end + 1 : start]).strip("\n"),
        diff=diff,
        patch_set=_patch_set(diff, start + 1, path),
    )


def _bad(path: Path, field: str, why: str, fix: str) -> PatchkitError:
    return PatchkitError(f"{path}: {field}: {why}", fix)


def _message(lines: list[str], first: int, path: Path) -> tuple[str, dict[str, list[str]]]:
    """The body, and the fields of its last paragraph; ``first`` is the number of the first line."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    begin = last
    while begin and lines[begin - 1].strip():
        begin -= 1
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
    fields: dict[str, list[str]] = {}
    key = ""
    for at, line in enumerate(lines[begin:last], first + begin):
        if line[0] in " \t" and key:
            fields[key][-1] += f" {line}"
            continue
        match = FIELD_LINE.fullmatch(line)
        if not match or match[1] not in FIELDS:
            raise PatchkitError(f"{path}:{at}: `{line[:40]}` is not a header field", f"known ones: {', '.join(FIELDS)}")
        key = match[1]
        if key in fields and key not in REPEATED:
            raise PatchkitError(f"{path}:{at}: a second {key}", "keep one")
        fields.setdefault(key, []).append(match[2] or "")
    if missing := [name for name in REQUIRED if name not in fields]:
        raise _bad(path, missing[0], "missing", "add it to the last paragraph of the header")
    fields = {name: [" ".join(value.split()) for value in values] for name, values in fields.items()}
    if empty := [name for name, values in fields.items() if not all(values)]:
        raise _bad(path, empty[0], "empty", f"write `{empty[0]}: ...`")
    return body, fields


def _mail_field(mail: Message[str, str], key: str, path: Path) -> str:
    """One mail header, unfolded, its encoded words decoded."""
    raw = mail.get(key)
    if raw is None:
        raise _bad(path, key, "missing", REWRITE)
    try:
        parts = cast("list[tuple[Any, str | None]]", decode_header(" ".join(str(raw).split())))
        text = "".join(
            part if isinstance(part, str) else part.decode(charset or "raw-unicode-escape") for part, charset in parts
        )
        text.encode()
    except (MessageError, LookupError, ValueError) as error:
        raise _bad(path, key, "its encoding cannot be read", "write it as plain UTF-8") from error
    return " ".join(text.split())


def _subject(mail: Message[str, str], path: Path) -> str:
    encoding = str(mail.get("Content-Transfer-Encoding", "8bit")).strip().lower()
    if encoding not in ("7bit", "8bit"):
        raise _bad(path, "Content-Transfer-Encoding", f"{encoding} hides the diff from quilt", REWRITE)
    subject = re.sub(r"\[PATCH[^\]]*\] *", "", _mail_field(mail, "Subject", path), count=1)
    if not subject:
        raise _bad(path, "Subject", "empty", "say in a line what the patch mends")
    return subject


def _author(mail: Message[str, str], path: Path) -> tuple[str, str]:
    name, address = parseaddr(_mail_field(mail, "From", path))
    if not name.strip() or "@" not in address or set(name + address) & set("<>\n\0"):
        raise _bad(path, "From", "not a name and an address", "write `From: Ada Lovelace <ada@example.org>`")
    return name, address


def _date(mail: Message[str, str], path: Path) -> datetime:
    text = _mail_field(mail, "Date", path)
    try:
        date = parsedate_to_datetime(text)
        if date.year < 1970:
            raise ValueError("before 1970")
        return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise _bad(path, "Date", f"`{text[:40]}` is no mail date", "write `Mon, 06 Jan 2025 12:00:00 +0000`") from error


def _drift(fields: dict[str, list[str]], path: Path) -> tuple[int, Kind]:
    match = re.fullmatch(r"([0-9]{1,6}) \((loud|silent|latent)\)", fields["Drift"][0])
    if not match:
        raise _bad(path, "Drift", f"`{fields['Drift'][0]}`", "write `Drift: 4 (silent)`: loud, silent or latent")
    return int(match[1]), cast(Kind, match[2])


def _applies_to(fields: dict[str, list[str]], path: Path) -> SpecifierSet:
    value = fields["Applies-To"][0]
    package, _, specifier = value.partition(" ")
    try:
        if package != "vllm" or "===" in specifier:
            raise InvalidSpecifier(value)
        return SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise _bad(path, "Applies-To", f"`{value}`", "write `vllm`, or `vllm >=0.11.0,<0.20`") from error


def _catch(value: str, path: Path) -> Catch:
    match = re.fullmatch(r"([A-Za-z0-9_-]+): (.+)", value)
    if not match:
        raise _bad(path, "Caught-By", f"`{value}`", "write `<scenario>: <regular expression for the reason>`")
    try:
        return Catch(match[1], re.compile(match[2]))
    except (re.error, OverflowError, RecursionError) as error:
        raise _bad(
            path, "Caught-By", f"`{match[2]}` is no regular expression ({error})", "mend or escape it"
        ) from error


def _depends(fields: dict[str, list[str]], path: Path) -> tuple[str, ...]:
    listed = ",".join(fields.get("Depends", ()))
    names = tuple(name.strip().removesuffix(".patch") for name in listed.split(",")) if listed else ()
    if bad := [name for name in names if not FILE_NAME.fullmatch(f"{name}.patch")]:
        raise _bad(path, "Depends", f"`{bad[0]}`", "name patches as NNNN-what-it-mends, with commas between")
    return names


def _patch_set(diff: str, first: int, path: Path) -> PatchSet:
    """The diff parsed; ``first`` is the number of its first line. Nothing in it may go unread."""
    lines = diff.split("\n")
    if len(lines) < 3:
        raise PatchkitError(f"{path}: holds no git diff after its header", REWRITE)
    for at, line in enumerate(lines, first):
        if line.startswith("index ") and not INDEX_LINE.fullmatch(line):
            raise PatchkitError(f"{path}:{at}: shortened index line, `git am --3way` needs it whole", REWRITE)
        if line == "GIT binary patch" or (line.startswith("Binary files ") and line.endswith(" differ")):
            raise PatchkitError(f"{path}:{at}: a binary file, which quilt cannot patch", "leave it out of the patch")
    try:
        patch_set = PatchSet(diff)
    except (UnidiffParseError, ValueError, AttributeError, IndexError) as error:
        raise PatchkitError(f"{path}:{first}: malformed diff ({error})", REWRITE) from error
    if any(file and not re.search(r"^index ", str(file), re.MULTILINE) for file in patch_set):
        raise PatchkitError(f"{path}:{first}: a file without an index line", REWRITE)
    rest = str(patch_set).split("\n")
    if rest != lines:
        pairs = (at for at, (ours, theirs) in enumerate(zip(rest, lines, strict=False)) if ours != theirs)
        at = first + next(pairs, min(len(rest), len(lines)) - 1)
        raise PatchkitError(f"{path}:{at}: text that belongs to no hunk", REWRITE)
    return patch_set
