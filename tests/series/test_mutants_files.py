"""Mutant files: what is read, what is refused, which are chosen."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from patchkit.errors import PatchkitError
from patchkit.series.mutant import FAMILIES, Mutant, parse_mutant, read_mutant
from patchkit.series.mutants import MutantSelection, check_gates, load_mutants, spread

PATH = Path("patches/toy/mutants/017-every-second-row.patch")
DIFF = """diff --git a/toy/tap.py b/toy/tap.py
--- a/toy/tap.py
+++ b/toy/tap.py
@@ -1,3 +1,3 @@ def tap(rows):
 one
-two
+zwei
 three
"""
TEXT = f"""Subject: [PATCH] Only every second row is
 gathered

Why that is wrong.

Family: rows
Caught-By: identity: owners: row 1 .* differs
Caught-By: decode_shrink: drain: rows
Applies-To: vllm >=0.11.1
Runner: v2
Device: cuda
Depends: 0007-Clear-the-tail
---
 toy/tap.py | 2 +-

{DIFF}"""


def test_every_part_is_read() -> None:
    found = parse_mutant(TEXT.encode(), PATH)
    assert (found.name, found.number, found.family) == ("017-every-second-row", 17, "rows")
    assert found.subject == "Only every second row is gathered"
    assert [gate for gate, _ in found.caught_by] == ["identity", "decode_shrink"]
    assert found.expected == "identity: owners: row 1 .* differs; decode_shrink: drain: rows"
    assert (found.applies_to, found.depends) == (SpecifierSet(">=0.11.1"), ("0007-Clear-the-tail",))
    assert (found.equivalent, found.diff, found.runner) == ("", DIFF, "v2")
    assert parse_mutant(TEXT.replace("Runner: v2\n", "").encode(), PATH).runner == "v1"
    assert found.needs_cuda
    assert not parse_mutant(TEXT.replace("Device: cuda\n", "").encode(), PATH).needs_cuda


def test_the_head_of_a_whole_mail_may_stand_before_it() -> None:
    head = f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: Ada <ada@example.org>\n"
    index = TEXT.replace("--- a/toy", "index aaaaaaa..bbbbbbb 100644\n--- a/toy")
    assert parse_mutant((head + index).encode(), PATH).subject == "Only every second row is gathered"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Subject: [PATCH] Only every second row is\n gathered", "To: you", "Subject: missing"),
        ("Family: rows\n", "", "Family: missing"),
        ("Family: rows", "Family: cows", "Family: `cows` is none; there are rows, slot, owner"),
        ("Family: rows", "Family: rows\nFamily: slot", "a second Family"),
        (
            "Caught-By: identity: owners: row 1 .* differs\nCaught-By: decode_shrink: drain: rows\n",
            "",
            "Caught-By: miss",
        ),
        ("Caught-By: identity: owners: row 1 .* differs", "Caught-By: identity", "Caught-By: `identity`"),
        ("owners: row 1 .* differs", ".*", "Caught-By: `identity: .*` matches any reason"),
        ("owners: row 1 .* differs", "(", "is no regular expression"),
        ("Depends:", "Equivalent: nobody reads it\nDepends:", "Equivalent: an equivalent mutant is caught by nothing"),
        ("Depends: 0007-Clear-the-tail", "Depends: 7", "Depends: `7`"),
        ("vllm >=0.11.1", "torch", "Applies-To: `torch`"),
        ("Runner: v2", "Runner: v3", "Runner: `v3` is none; there are v1, v2"),
        ("Device: cuda", "Device: cpu", "Device: `cpu` is none; it is cuda, or is left out"),
        ("Depends:", "Drift: 7 (silent)\nDepends:", "`Drift: 7 (silent)` is not a header field"),
        ("@@ -1,3 +1,3 @@", "@@ -1,4 +1,3 @@", "malformed diff"),
        (DIFF, "", "holds no git diff"),
    ],
)
def test_malformed_files_are_refused(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(PatchkitError, match=re.escape(said)) as refusal:
        parse_mutant(TEXT.replace(old, new).encode(), PATH)
    assert str(PATH) in str(refusal.value) and refusal.value.fix


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(PatchkitError, match=r"not the name of a mutant; call it NNN-what-is-wrong\.patch"):
        parse_mutant(TEXT.encode(), Path("0017-four-digits.patch"))
    with pytest.raises(PatchkitError, match="Family: `rows`, but the mutant is in slot/"):
        parse_mutant(TEXT.encode(), Path("mutants/slot/017-x.patch"))
    with pytest.raises(PatchkitError, match="cannot read"):
        read_mutant(tmp_path / PATH.name)


def test_mutants_lie_in_folders_and_come_by_number(tmp_path: Path) -> None:
    for name in ("rows/017-b.patch", "more/003-a.patch", "100-c.patch"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TEXT)
    assert [mutant.name for mutant in load_mutants(tmp_path)] == ["003-a", "017-b", "100-c"]
    (tmp_path / "003-d.patch").write_text(TEXT)
    with pytest.raises(PatchkitError, match=r"003-a\.patch and .*003-d\.patch share a number"):
        load_mutants(tmp_path)
    with pytest.raises(PatchkitError, match=r"no mutants in .*; write one"):
        load_mutants(tmp_path / "nowhere")


def test_a_gate_that_is_not_there_is_refused() -> None:
    mutant = parse_mutant(TEXT.encode(), PATH)
    check_gates([mutant], ["identity", "decode_shrink"])
    with pytest.raises(PatchkitError, match="Caught-By: no gate 'decode_shrink'; there are identity"):
        check_gates([mutant], ["identity"])


def made(number: int, family: str) -> Mutant:
    text = TEXT.replace("Family: rows", f"Family: {family}")
    return parse_mutant(text.encode(), PATH.with_name(f"{number:03}-x.patch"))


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        (MutantSelection(), [1, 2, 3, 4]),
        (MutantSelection(mutants=("3", "002-x.patch")), [2, 3]),
        (MutantSelection(families=("slot",)), [3, 4]),
        (MutantSelection(mutants=("4", "1"), families=("slot",)), [4]),
        (MutantSelection(sample=9), [1, 2, 3, 4]),
    ],
)
def test_what_is_chosen(chosen: MutantSelection, numbers: list[int]) -> None:
    mutants = [made(1, "rows"), made(2, "rows"), made(3, "slot"), made(4, "slot")]
    assert [mutant.number for mutant in chosen.of(mutants)] == numbers
    assert chosen.all_of_them is (not str(chosen))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (MutantSelection(mutants=("5",)), "no mutant '5' for this release"),
        (MutantSelection(families=("cows",)), "no family 'cows'; there are rows, "),
        (MutantSelection(mutants=("1",), families=("slot",)), "none of the mutants is in the chosen family"),
    ],
)
def test_a_choice_of_nothing_is_refused(chosen: MutantSelection, said: str) -> None:
    with pytest.raises(PatchkitError, match=said):
        chosen.of([made(1, "rows"), made(3, "slot")])


crowds = st.lists(st.sampled_from(sorted(FAMILIES)), max_size=40).map(
    lambda families: [made(number, family) for number, family in enumerate(families)]
)


@given(mutants=crowds, most=st.integers(1, 50), seed=st.integers(-5, 5), data=st.data())
@settings(max_examples=150)
def test_a_sample_is_spread_and_always_the_same(
    mutants: list[Mutant], most: int, seed: int, data: st.DataObject
) -> None:
    found = spread(mutants, most, seed)
    assert len(found) == min(most, len(mutants))
    assert found == [mutant for mutant in mutants if mutant in found]
    shuffled = data.draw(st.permutations(mutants))
    assert sorted(spread(shuffled, most, seed), key=lambda one: one.name) == found
    assert all(one in spread(mutants, most + 1, seed) for one in found)
    there_are, taken = Counter(one.family for one in mutants), Counter(one.family for one in found)
    least = min((taken[family] for family in there_are if taken[family] < there_are[family]), default=None)
    if least is not None:  # a family that has more to give is at most one behind the others
        assert max(taken.values()) <= least + 1


def test_another_seed_is_another_sample() -> None:
    mutants = [made(number, "rows") for number in range(40)]
    samples = {tuple(one.number for one in spread(mutants, 5, seed)) for seed in range(5)}
    assert len(samples) == 5


letters = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
words = st.lists(letters, min_size=1, max_size=5).map(" ".join)
sentences = words.map(lambda text: f"x{text}")  # nothing that git takes for a header or the message's end


@given(
    subject=sentences,
    prose=st.lists(sentences, max_size=3).map("\n\n".join),
    family=st.sampled_from(sorted(FAMILIES)),
    reasons=st.lists(sentences.map(re.escape), max_size=3),
    equivalent=sentences,
)
@settings(max_examples=150)
def test_any_mutant_survives_the_round_trip(
    subject: str, prose: str, family: str, reasons: list[str], equivalent: str
) -> None:
    stated = [f"Caught-By: identity: {reason}" for reason in reasons] or [f"Equivalent: {equivalent}"]
    body = "\n\n".join(filter(None, [prose, "\n".join([f"Family: {family}", *stated])]))
    once = parse_mutant(f"Subject: {subject}\n\n{body}\n---\n{DIFF}".encode(), PATH)
    assert (once.subject, once.family, once.body) == (subject, family, body)
    assert [one.reason.pattern for one in once.caught_by] == [" ".join(reason.split()) for reason in reasons]
    assert once.equivalent == ("" if reasons else equivalent)
    assert parse_mutant(bytes(once), PATH) == once


@given(st.integers(0, len(TEXT)), st.integers(0, 60), st.one_of(st.binary(max_size=20), words.map(str.encode)))
@settings(max_examples=300)
def test_damaged_files_are_refused_in_a_line_or_read(at: int, length: int, splice: bytes) -> None:
    content = TEXT.encode()
    try:
        found = parse_mutant(content[:at] + splice + content[at + length :], PATH)
    except PatchkitError as error:
        assert "\n" not in str(error)
    else:
        assert str(parse_mutant(bytes(found), PATH)) == str(found)
