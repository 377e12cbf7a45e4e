"""A diff under a mail's header, read strictly: subject, message, the fields of its last paragraph, and the diff.

The fields are not interpreted here: they are texts by name, as a :class:`Form` allows them.
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

from unidiff.patch import PatchSet

from patchkit.errors import PatchkitError
from patchkit.series.diff import FILE, read_diff
from patchkit.series.multipart import flat
from patchkit.series.trailers import FIELD, is_kept, split_message

MAILBOX_LINE = re.compile(r"From [0-9a-f]{40} \S")
KEPT = "kept"  # the key of lines that are kept in the message and mean nothing to us
MESSAGE_END = re.compile(r"---\s*$|--- \S|diff -|Index: ")  # where git's mailinfo ends the message
DIFFSTAT = re.compile(  # of --summary, --shortstat, --dirstat and --numstat, above which git writes no `---`
    r" (?:create|delete) mode \d{6} .+| mode change \d{6} => \d{6}.*| (?:rename|copy|rewrite) .+ \(\d+%\)"
    r"| \d+ files? changed.*| +\d+\.\d% .+|(?:\d+|-)\t(?:\d+|-)\t.+"
)


class Form(NamedTuple):
    """What a kind of patch file must look like.

    Attributes:
        required, optional: the fields of its last paragraph; ``repeated`` are those that may come more than once.
        rewrite: how to make a proper file of a bad one.
        whole: as ``git am --3way`` takes it: it begins with a mailbox line, and changed files have their index line.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    repeated: tuple[str, ...]
    rewrite: str
    whole: bool = True


class Mail(NamedTuple):
    """The parts of a patch file; ``stat`` is git's diffstat."""

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


def content_of(path: Path) -> bytes:
    """The bytes of a patch file.

    Raises:
        PatchkitError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PatchkitError(f"cannot read {path}: {error.strerror}", "check the file and its permissions") from error


def read_mail(content: bytes, path: Path, form: Form) -> Mail:
    """Parse the patch file ``content``, which belongs at ``path``.

    Raises:
        PatchkitError: it is not of this form; says which line or field, and what to do.
    """
    # A diff holds the bytes of its files, in whatever encoding they are; only the message must be UTF-8.
    lines = content.decode(errors="surrogateescape").split("\n")
    mailbox = bool(MAILBOX_LINE.match(lines[0]))
    if form.whole and not mailbox:
        raise PatchkitError(f"{path}:1: does not begin with `From <40 hex digits>`", form.rewrite)
    blank = lines.index("") if "" in lines else len(lines)
    headers = email.message_from_string("\n".join(lines[1 if mailbox else 0 : blank]) + "\n\n")
    lines = flat(lines, blank, headers, path, form.rewrite)
    end = next((at for at in range(blank, len(lines)) if MESSAGE_END.match(lines[at])), len(lines))
    start = next((at for at in range(end, len(lines)) if lines[at].startswith(FILE)), len(lines))
    _check_text(lines[:start], end, path)
    message_end = _message_end(lines, blank, end)
    body, fields = _message(lines[blank + 1 : message_end], blank + 2, path, form)
    diff = read_diff(lines[start:], start + 1, path, form.rewrite, form.whole)
    stat = "\n".join(line.rstrip() for line in [*lines[message_end:end], *lines[end + 1 : start]]).strip("\n")
    return Mail(path, form, headers, body, fields, stat, *diff)


def _message_end(lines: list[str], blank: int, end: int) -> int:
    """Where the message ends and git's diffstat begins: at ``---``, or a paragraph of nothing else."""
    last = next((at for at in range(end, blank, -1) if lines[at - 1].strip()), blank)
    start = next((at for at in range(last, blank, -1) if not lines[at - 1].strip()), last)
    return start if start < last and all(DIFFSTAT.fullmatch(line) for line in lines[start:last]) else end


def _check_text(lines: list[str], end: int, path: Path) -> None:
    """Refuse what is above the diff unless it is UTF-8; its first ``end`` lines have plain line ends too."""
    for at, line in enumerate(lines, 1):
        if any("\udc80" <= letter <= "\udcff" for letter in line):
            fix = "write the lines above the diff in UTF-8, and leave the bytes of the diff as they are"
            raise PatchkitError(f"{path}:{at}: not UTF-8", fix)
    if "\r" in "".join(lines[:end]):
        raise PatchkitError(
            f"{path}: carriage returns in the header", "write the lines above `---` with plain line ends"
        )


def bad(path: Path, field: str, why: str, fix: str) -> PatchkitError:
    return PatchkitError(f"{path}: {field}: {why}", fix)


def _message(lines: list[str], first: int, path: Path, form: Form) -> tuple[str, dict[str, list[str]]]:
    """The body, and the fields at its end; ``first`` is the number of the first line."""
    begin = split_message(lines)
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
    known = (*form.required, *form.optional)
    fields: dict[str, list[str]] = {}
    key = ""
    for at, line in enumerate(lines[begin:], first + begin):
        if not line.strip():
            key = ""
            continue
        if line[0] in " \t" and key:
            fields[key][-1] += f" {line}"
            continue
        match = FIELD.fullmatch(line)
        if not match or match[1] not in known:
            if is_kept(line):
                key = KEPT
                fields.setdefault(key, []).append(line)
                continue
            raise PatchkitError(f"{path}:{at}: `{line[:40]}` is not a header field", f"known ones: {', '.join(known)}")
        key = match[1]
        if key in fields and key not in form.repeated:
            raise PatchkitError(f"{path}:{at}: a second {key}", "keep one")
        fields.setdefault(key, []).append(match[2] or "")
    fields.pop(KEPT, None)
    if missing := [name for name in form.required if name not in fields]:
        raise bad(path, missing[0], "missing", "add it to the last paragraph of the header")
    fields = {name: [" ".join(value.split()) for value in values] for name, values in fields.items()}
    if empty := [name for name, values in fields.items() if not all(values)]:
        raise bad(path, empty[0], "empty", f"write `{empty[0]}: ...`")
    return body, fields
