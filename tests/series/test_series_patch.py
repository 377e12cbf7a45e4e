"""Patch files: what is read, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from toy import prose_of

from patchkit.errors import PatchkitError
from patchkit.series.patch import Patch
from patchkit.series.patch_parsing import parse, read_patch

PATH = Path("patches/toy/0004-logits-indices-come-first.patch")
DIFF = f"""diff --git a/toy/tap.py b/toy/tap.py
index {"a" * 40}..{"b" * 40} 100644
--- a/toy/tap.py
+++ b/toy/tap.py
@@ -1,3 +1,3 @@ def tap(rows):
 one
-two
+zwei
 three
"""
TEXT = f"""From {"0" * 40} Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?Ada=20L=C3=B6we?= <ada@example.org>
Date: Mon, 6 Jan 2025 12:00:00 +0100
Subject: [PATCH 4/7] Take the logits indices
 from the front

Prose of a line.

And of another.

Drift: 4 (silent)
Symbol: vllm.v1.worker.gpu_model_runner.GPUModelRunner._prepare_inputs
Applies-To: vllm >=0.11.1, <0.30
Symptom: port hits 0,
 loss steps 0
Caught-By: monotonic_bench: port hits 0
Caught-By: learning: IndexError|assert.*
Depends: 0002-other.patch, 0003-third
Forwarded: no
Signed-off-by: Ada <ada@example.org>
---
 toy/tap.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

{DIFF}-- 
2.39.5

"""


def patch(applies_to: str = "", text: str = TEXT) -> Patch:
    return replace(parse(text.encode(), PATH), applies_to=SpecifierSet(applies_to))


def test_every_part_is_read() -> None:
    found = parse(TEXT.encode(), PATH)
    assert (found.name, found.number) == ("0004-logits-indices-come-first", 4)
    assert found.subject == "Take the logits indices from the front"
    assert (found.drift, found.kind, found.forwarded) == (4, "silent", "no")
    assert found.symbol.endswith("GPUModelRunner._prepare_inputs")
    assert found.applies_to == SpecifierSet(">=0.11.1,<0.30")
    assert found.symptom == "port hits 0, loss steps 0"
    assert [catch.scenario for catch in found.caught_by] == ["monotonic_bench", "learning"]
    assert found.caught_by[1].reason.search("IndexError: 7")
    assert found.depends == ("0002-other", "0003-third")
    assert found.author == ("Ada Löwe", "ada@example.org")
    assert found.date == datetime(2025, 1, 6, 11, tzinfo=timezone.utc)
    assert found.signed_off_by == ("Ada <ada@example.org>",)
    assert prose_of(found) == "Prose of a line.\n\nAnd of another."
    assert [(file.path, file.added, file.removed) for file in found.patch_set] == [("toy/tap.py", 1, 1)]
    assert found.diff == DIFF


def test_what_is_written_is_what_was_read() -> None:
    once = parse(TEXT.encode(), PATH)
    assert parse(bytes(once), PATH) == once
    assert str(parse(bytes(once), PATH)) == str(once)


@pytest.mark.parametrize(
    ("applies_to", "release", "needed"),
    [
        (">=0.11.0", "0.11.0", True),
        (">=0.11.0", "v0.11.0", True),
        (">=0.11.0", "0.10.2", False),
        (">=0.11.0", "0.11.0rc1", False),
        ("<0.11.0", "0.11.0rc1", True),
        ("<0.11.0", "0.11.0", False),
        ("<0.11.0", "0.11.0.post1", False),
        ("==0.12.0", "0.12.0.post2", True),
        ("<=0.12.0", "0.12.0.post2", True),
        (">0.12.0", "0.12.0.post2", False),
        (">=0.12.0,<0.13", "0.12.0.post2", True),
        ("==0.12.*", "0.12.0.post2", True),
        (">=0.20.0", "0.20.0+cpu", True),
        ("==0.20.0", "0.20.0+cu129", True),
        (">=0.20.0", "0.20.1.dev5+g123abc", True),
        (">=0.20.1", "0.20.1.dev5+g123abc", False),
        ("<0.20.1", "0.20.1.dev5+g123abc", True),
        (">=0.20.1rc1", "0.20.1rc2.dev7", True),
        (">=0.20.1rc2", "0.20.1rc2.dev7", False),
        ("!=0.12.0", "0.12.0.post1", False),
        ("~=0.12.0", "0.12.5", True),
        ("~=0.12.0", "0.13.0", False),
        ("", "0.0.1.dev1", True),
        ("", "99", True),
    ],
)
def test_which_releases_need_it(applies_to: str, release: str, needed: bool) -> None:
    assert patch(applies_to).needed_on(Version(release)) is needed


@pytest.mark.parametrize("value", ["vllm", "vllm >=0.1", "vllm >= 0.1, <2", "vllm ==0.12.*"])
def test_applies_to_may_be_written_as(value: str) -> None:
    parse(TEXT.replace("vllm >=0.11.1, <0.30", value).encode(), PATH)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("From 0", "Form 0", ":1: does not begin"),
        ("From: ", "Fro: ", "From: missing"),
        ("<ada@example.org>\nDate", "ada\nDate", "From: not a name and an address"),
        ("=?UTF-8?q?Ada", "=?nonsense?q?Ada", "From: its encoding"),
        ("Mon, 6 Jan 2025", "yesterday", "Date: `yesterday"),
        ("Subject: [PATCH 4/7] Take the logits indices\n from the front", "Subject: [PATCH]", "Subject: empty"),
        ("Subject:", "Content-Transfer-Encoding: base64\nSubject:", "Content-Transfer-Encoding: base64"),
        ("Drift: 4 (silent)\n", "", "Drift: missing"),
        ("Drift: 4 (silent)", "Drift: four", "Drift: `four`; write `Drift: 4 (silent)`"),
        ("4 (silent)", "4 (quiet)", "Drift: `4 (quiet)`"),
        ("Applies-To: vllm >=0.11.1", "Applies-To: torch >=2", "Applies-To: `torch"),
        (">=0.11.1", ">>0.11.1", "Applies-To"),
        ("Symptom: port hits 0,\n loss steps 0", "Symptom:", "Symptom: empty"),
        ("learning: IndexError", "learning: (IndexError", "Caught-By: `(IndexError"),
        ("learning: IndexError|assert.*", "learning", "Caught-By: `learning`"),
        ("0003-third", "third", "Depends: `third`"),
        ("Forwarded: no", "Forwarded: no\nForwarded: yes", ":20: a second Forwarded"),
        ("Forwarded:", "Forwardde:", ":19: `Forwardde: no` is not a header field"),
        ("Drift: 4", "Drift: 4\r", "carriage returns"),
        (DIFF, "", "holds no git diff"),
        ("index ", "indeX ", ":26: malformed diff"),
        ("a" * 40, "a" * 3, ":26: malformed diff (an index line"),
        (f"index {'a' * 40}..{'b' * 40} 100644\n", "", "without an index line"),
        ("@@ -1,3 +1,3 @@", "@@ -1,4 +1,3 @@", ":35: text that belongs to no hunk"),  # git's signature is no line of it
        ("@@ -1,3 +1,3 @@", "@@ -1,9 +1,3 @@", ":35: malformed diff"),
        ("-two\n", "", ":34: text that belongs to no hunk"),
        ("+zwei", "zwei", "malformed diff"),
        (" three\n", " three\nleft over\n", ":34: text that belongs to no hunk"),
        (" three\n", " three\n-- \nsigned\n+zwei\n", ":36: text that belongs to no hunk"),  # the head says too few
        (" three\n", " three\n-- \ndiff --git a/x b/x\n", ":35: text that belongs to no hunk"),
        (" three\n", " three\n\nbase-commit: main\n", ":35: text that belongs to no hunk"),
        ("--- a/toy/tap.py\n+++ b/toy/tap.py\n", "GIT binary patch\n", "binary"),
    ],
)
def test_malformed_files_are_refused(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(PatchkitError, match=re.escape(said)) as refusal:
        parse(TEXT.replace(old, new).encode(), PATH)
    assert str(PATH) in str(refusal.value) and refusal.value.fix


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match=":7: not UTF-8"):
        parse(TEXT.encode().replace(b"Prose", b"\xffrose"), PATH)
    with pytest.raises(PatchkitError, match="not the name of a patch"):
        parse(TEXT.encode(), Path("4-short.patch"))
    with pytest.raises(PatchkitError, match="cannot read"):
        read_patch(tmp_path / PATH.name)


lines = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
words = st.lists(lines, min_size=1, max_size=5).map(" ".join)
sentences = words.map(lambda text: f"x{text}")  # nothing that git takes for a header or the message's end
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
dates = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=zones).map(
    lambda at: at.replace(microsecond=0)
)


@given(
    subject=sentences,
    prose=st.lists(sentences, max_size=3).map("\n\n".join),
    drift=st.integers(0, 999_999),
    kind=st.sampled_from(["loud", "silent", "latent"]),
    symptom=words,
    reason=words.map(re.escape),
    name=sentences.map(lambda text: " ".join(re.sub("[<>]", "", text).split())),
    date=dates,
)
@settings(max_examples=150)
def test_any_patch_survives_the_round_trip(
    subject: str, prose: str, drift: int, kind: str, symptom: str, reason: str, name: str, date: datetime
) -> None:
    fields = (
        f"Drift: {drift} ({kind})\nSymbol: vllm.x\nApplies-To: vllm\nSymptom: {symptom}\n"
        f"Caught-By: learning: {reason}\nForwarded: no"
    )
    made = replace(patch(), subject=subject, author=(name, "a@b.org"), date=date)
    made = replace(made, body=f"{prose}\n\n{fields}" if prose else fields)
    once = parse(bytes(made), PATH)
    assert (once.subject, prose_of(once), once.drift, once.kind) == (subject, prose, drift, kind)
    assert (once.symptom, once.author, once.date) == (symptom, (name, "a@b.org"), date)
    assert once.caught_by[0].reason.pattern == " ".join(reason.split())
    assert parse(bytes(once), PATH) == once


def never_anything_else(content: bytes) -> None:
    try:
        found = parse(content, PATH)
    except PatchkitError as error:
        assert "\n" not in str(error)
    else:
        assert str(parse(bytes(found), PATH)) == str(found)


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_arbitrary_bytes_are_refused_in_a_line(content: bytes) -> None:
    never_anything_else(content)


@given(st.integers(0, len(TEXT)), st.integers(0, 60), st.one_of(st.binary(max_size=20), words.map(str.encode)))
@settings(max_examples=400)
def test_damaged_files_are_refused_in_a_line_or_read(at: int, length: int, splice: bytes) -> None:
    content = TEXT.encode()
    never_anything_else(content[:at] + splice + content[at + length :])
