"""A diff under a mail's header, read strictly: subject, message, the fields of its last paragraph, and the diff.

What the fields mean is for others to say: here they are texts by name, as a :class:`Form` allows them.
"""

from __future__ import annotations

import email
import re
from datetime import datetime, timezone
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from patchkit.errors import PatchkitError

FIELD_LINE = re.compile(r"([A-Z][A-Za-z-]*):(?: +(.*))?")
MAILBOX_LINE = re.compile(r"From [0-9a-f]{40} \S")
MESSAGE_END = re.compile(r"---\s*$|--- \S|diff -|Index: ")  # where git's mailinfo ends the message
SIGNATURE = re.compile(r"\n-- \n[^\n]*\n\s*\Z")
INDEX_LINE = re.compile(r"index [0-9a-f]{40}\.\.[0-9a-f]{40}( \d{6})?")


class Form(NamedTuple):
    """What a kind of patch file must look like.

    Attributes:
        required, optional: the fields of its last paragraph; ``repeated`` are those that may come more than once.
        rewrite: how to make a proper file of a bad one.
        whole: as ``git am --3way`` takes it: it begins with a mailbox line, and every file has its whole index line.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    repeated: tuple[str, ...]
    rewrite: str
    whole: bool = True


class Mail(NamedTuple):
    """A patch file in its pieces; ``stat`` is what git says of the diff's size."""

    path: Path
    form: Form
    headers: Message[str, str]
    body: str
    fields: dict[str, list[str]]
    stat: str
    diff: str
    patch_set: PatchSet

    @property
    def subject(self) -> str:
        encoding = str(self.headers.get("Content-Transfer-Encoding", "8bit")).strip().lower()
        if encoding not in ("7bit", "8bit"):
            raise self.bad("Content-Transfer-Encoding", f"{encoding} hides the diff from quilt", self.form.rewrite)
        subject = re.sub(r"\[PATCH[^\]]*\] *", "", self._header("Subject"), count=1)
        if not subject:
            raise self.bad("Subject", "empty", "say in a line what the patch does")
        return subject

    @property
    def author(self) -> tuple[str, str]:
        """Name and address."""
        name, address = parseaddr(self._header("From"))
        if not name.strip() or "@" not in address or set(name + address) & set("<>\n\0"):
            raise self.bad("From", "not a name and an address", "write `From: Ada Lovelace <ada@example.org>`")
        return name, address

    @property
    def date(self) -> datetime:
        text = self._header("Date")
        try:
            date = parsedate_to_datetime(text)
            if date.year < 1970:
                raise ValueError("before 1970")
            return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        except (ValueError, TypeError, OverflowError, IndexError) as error:
            fix = "write `Mon, 06 Jan 2025 12:00:00 +0000`"
            raise self.bad("Date", f"`{text[:40]}` is no mail date", fix) from error

    def bad(self, field: str, why: str, fix: str) -> PatchkitError:
        """What is said of a field that is not as it must be."""
        return bad(self.path, field, why, fix)

    def _header(self, key: str) -> str:
        """One mail header, unfolded, its encoded words decoded."""
        raw = self.headers.get(key)
        if raw is None:
            raise self.bad(key, "missing", self.form.rewrite)
        try:
            parts = cast("list[tuple[Any, str | None]]", decode_header(" ".join(str(raw).split())))
            text = "".join(
                part if isinstance(part, str) else part.decode(charset or "raw-unicode-escape")
                for part, charset in parts
            )
            text.encode()
        except (MessageError, LookupError, ValueError) as error:
            raise self.bad(key, "its encoding cannot be read", "write it as plain UTF-8") from error
        return " ".join(text.split())


def read_mail(content: bytes, path: Path, form: Form) -> Mail:
    """The patch file ``content``, which belongs at ``path``, in its pieces.

    Raises:
        PatchkitError: it is not of this form; says which line or field, and what to do.
    """
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PatchkitError(f"{path}:{line}: not UTF-8", "save the file as UTF-8") from error
    mailbox = bool(MAILBOX_LINE.match(lines[0]))
    if form.whole and not mailbox:
        raise PatchkitError(f"{path}:1: does not begin with `From <40 hex digits>`", form.rewrite)
    blank = lines.index("") if "" in lines else len(lines)
    end = next((at for at in range(blank, len(lines)) if MESSAGE_END.match(lines[at])), len(lines))
    start = next((at for at in range(end, len(lines)) if lines[at].startswith("diff --git ")), len(lines))
    if "\r" in "".join(lines[:end]):
        raise PatchkitError(f"{path}: carriage returns in the header", "save the file with plain line ends")
    headers = email.message_from_string("\n".join(lines[1 if mailbox else 0 : blank]) + "\n\n")
    body, fields = _message(lines[blank + 1 : end], blank + 2, path, form)
    diff = SIGNATURE.sub("\n", "\n".join(lines[start:])).rstrip("\n") + "\n"
    stat = "\n".join(line.rstrip() for line in lines[end + 1 : start]).strip("\n")
    return Mail(path, form, headers, body, fields, stat, diff, _patch_set(diff, start + 1, path, form))


def bad(path: Path, field: str, why: str, fix: str) -> PatchkitError:
    """What is said of a field of the file at ``path`` that is not as it must be."""
    return PatchkitError(f"{path}: {field}: {why}", fix)


def _message(lines: list[str], first: int, path: Path, form: Form) -> tuple[str, dict[str, list[str]]]:
    """The body, and the fields of its last paragraph; ``first`` is the number of the first line."""
    last = len(lines)
    while last and not lines[last - 1].strip():
        last -= 1
    begin = last
    while begin and lines[begin - 1].strip():
        begin -= 1
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
    known = (*form.required, *form.optional)
    fields: dict[str, list[str]] = {}
    key = ""
    for at, line in enumerate(lines[begin:last], first + begin):
        if line[0] in " \t" and key:
            fields[key][-1] += f" {line}"
            continue
        match = FIELD_LINE.fullmatch(line)
        if not match or match[1] not in known:
            raise PatchkitError(f"{path}:{at}: `{line[:40]}` is not a header field", f"known ones: {', '.join(known)}")
        key = match[1]
        if key in fields and key not in form.repeated:
            raise PatchkitError(f"{path}:{at}: a second {key}", "keep one")
        fields.setdefault(key, []).append(match[2] or "")
    if missing := [name for name in form.required if name not in fields]:
        raise bad(path, missing[0], "missing", "add it to the last paragraph of the header")
    fields = {name: [" ".join(value.split()) for value in values] for name, values in fields.items()}
    if empty := [name for name, values in fields.items() if not all(values)]:
        raise bad(path, empty[0], "empty", f"write `{empty[0]}: ...`")
    return body, fields


def _patch_set(diff: str, first: int, path: Path, form: Form) -> PatchSet:
    """The diff parsed; ``first`` is the number of its first line. Nothing in it may go unread."""
    lines = diff.split("\n")
    if len(lines) < 3:
        raise PatchkitError(f"{path}: holds no git diff after its header", form.rewrite)
    for at, line in enumerate(lines, first):
        if form.whole and line.startswith("index ") and not INDEX_LINE.fullmatch(line):
            raise PatchkitError(f"{path}:{at}: shortened index line, `git am --3way` needs it whole", form.rewrite)
        if line == "GIT binary patch" or (line.startswith("Binary files ") and line.endswith(" differ")):
            raise PatchkitError(f"{path}:{at}: a binary file, which quilt cannot patch", "leave it out of the patch")
    try:
        patch_set = PatchSet(diff)
    except (UnidiffParseError, ValueError, AttributeError, IndexError) as error:
        raise PatchkitError(f"{path}:{first}: malformed diff ({error})", form.rewrite) from error
    if form.whole and any(file and not re.search(r"^index ", str(file), re.MULTILINE) for file in patch_set):
        raise PatchkitError(f"{path}:{first}: a file without an index line", form.rewrite)
    lines = [_counted(line) for line in lines]
    rest = str(patch_set).split("\n")
    if rest != lines:
        pairs = (at for at, (ours, theirs) in enumerate(zip(rest, lines, strict=False)) if ours != theirs)
        at = first + next(pairs, min(len(rest), len(lines)) - 1)
        raise PatchkitError(f"{path}:{at}: text that belongs to no hunk", form.rewrite)
    return patch_set


def _counted(line: str) -> str:
    """A hunk's head with both its counts, which git leaves out where they are 1; any other line as it is."""
    if not line.startswith("@@ -"):
        return line
    return re.sub(r"^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@", _with_counts, line)


def _with_counts(match: re.Match[str]) -> str:
    return f"@@ -{match[1]}{match[2] or ',1'} +{match[3]}{match[4] or ',1'} @@"
