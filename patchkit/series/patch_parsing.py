"""Parses patch files into :class:`Patch`; errors are one line."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import cast

from patchkit.errors import PatchkitError
from patchkit.series.header_fields import FILE_NAME, applies_to, catch, depends
from patchkit.series.mail import Form, Mail, content_of, read_mail
from patchkit.series.patch import Kind, Patch

# what a user's own settings may not change
FORMAT_PATCH = "git format-patch --full-index --no-attach --src-prefix=a/ --dst-prefix=b/"
FORM = Form(
    required=("Drift", "Symbol", "Applies-To", "Symptom", "Caught-By", "Forwarded"),
    optional=("Depends", "Signed-off-by"),
    repeated=("Caught-By", "Signed-off-by"),
    rewrite=f"write it with `patchkit export` or `{FORMAT_PATCH} -1`, which takes the last commit",
)


def read_patch(path: Path) -> Patch:
    """The patch in the file at ``path``.

    Raises:
        PatchkitError: it cannot be read, or its name, header or diff is malformed.
    """
    return parse(content_of(path), path)


@functools.lru_cache(maxsize=256)  # the same series is read for every release that is looked at
def parse(content: bytes, path: Path) -> Patch:
    """The patch in ``content``, which belongs at ``path``.

    Raises:
        PatchkitError: the name, header or diff is malformed; says which line or field, and what to do.
    """
    if not FILE_NAME.fullmatch(path.name):
        raise PatchkitError(f"{path}: not the name of a patch", "call it NNNN-what-it-fixes.patch")
    mail = read_mail(content, path, FORM)
    fields = mail.fields
    drift, kind = _drift(mail)
    return Patch(
        path=path,
        subject=mail.subject,
        body=mail.body,
        drift=drift,
        kind=kind,
        symbol=fields["Symbol"][0],
        applies_to=applies_to(fields["Applies-To"][0], path),
        symptom=fields["Symptom"][0],
        caught_by=tuple(catch(value, path) for value in fields["Caught-By"]),
        depends=depends(fields.get("Depends", ()), path),
        forwarded=fields["Forwarded"][0],
        signed_off_by=tuple(fields.get("Signed-off-by", ())),
        author=mail.author,
        date=mail.date,
        stat=mail.stat,
        diff=mail.diff,
        patch_set=mail.patch_set,
    )


def _drift(mail: Mail) -> tuple[int, Kind]:
    text = mail.fields["Drift"][0]
    match = re.fullmatch(r"([0-9]{1,6}) \((loud|silent|latent)\)", text)
    if not match:
        raise mail.bad("Drift", f"`{text}`", "write `Drift: 4 (silent)`: loud, silent or latent")
    return int(match[1]), cast(Kind, match[2])
