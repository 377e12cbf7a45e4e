"""Pages of an index: whole or not, an answer or not, older than before or not."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_index import HERE, Entry, Handler, Index

from patchkit.drift.index import listing
from patchkit.drift.index_pages import JSON, BadPageError, Page, check_whole, doubt, older
from patchkit.errors import PatchkitError

HTML = "text/html; charset=utf-8"
BEFORE = Page("https://index.example/", "vllm", files=9, newest="0.20.0", serial=70)

names = st.lists(st.integers(0, 40).map(lambda minor: f"vllm-0.{minor}.0-cp38-abi3-{HERE}.whl"), min_size=1)
entries = names.map(lambda found: {name: Entry(b"", "0" * 64, yanked='<wrong> & "bad"') for name in found})


@settings(max_examples=60, deadline=None)
@given(entries, st.data())
def test_no_page_that_breaks_off_is_whole(found: dict[str, Entry], data: st.DataObject) -> None:
    for page, kind in ((Handler.as_json("vllm", found), JSON), (Handler.as_html("vllm", found), HTML)):
        check_whole(page, kind)
        cut = data.draw(st.integers(len("<!DOCTYPE html><html>"), len(page) - 1))
        with pytest.raises(BadPageError):
            check_whole(page[:cut], kind)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_comes_is_whole_or_a_line(content: bytes) -> None:
    for kind in (JSON, HTML):
        try:
            check_whole(content, kind)
        except BadPageError as error:
            assert "\n" not in str(error)


def test_pages_without_a_frame_and_sloppy_ones_are_whole() -> None:
    check_whole(b'<a href="x">x</a><br/>\n<a href="y">y</a>', HTML)
    check_whole(b'<a href="x">x<br>\n<a href="y">y', HTML)
    check_whole(b"", HTML)
    with pytest.raises(BadPageError):
        check_whole(b'<a href="x">x</a><br/>\n<a href="y">y', HTML)


def later(**changes: object) -> Page:
    return Page(**{"place": BEFORE.place, "distribution": "vllm", "files": 9, "newest": "0.20.0", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (later(serial=70), ""),
        (later(serial=71, newest="0.21.0"), ""),
        (later(serial=71, newest="0.19.0"), ""),  # the newest was deleted: the serial says that this is later
        (later(serial=69, newest="0.21.0"), "its serial is 69, and was 70"),
        (later(serial=70, newest="0.19.0"), "it ends at 0.19.0, and had 0.20.0"),
        (later(newest="0.19.0"), "it ends at 0.19.0"),
        (later(), "it bears no serial, and had 70"),
        (later(files=0, newest=None, serial=71), "its page lists no file of it"),
        (later(files=0, newest=None, status=404), "had 9 files on 2026-01-02 of vllm, and now it answers 404"),
    ],
)
def test_a_page_is_older_if_it_says_so_or_has_less(page: Page, said: str) -> None:
    found = older(page, BEFORE, "2026-01-02")
    assert said in found and bool(said) == bool(found)


def test_without_serials_the_last_upload_tells() -> None:
    day, before = (datetime(2026, 1, number, tzinfo=timezone.utc) for number in (1, 2))
    was = later(uploaded=before)
    assert "its last upload is of 2026-01-01" in older(later(uploaded=day), was, "2026-01-03")
    assert older(later(uploaded=before), was, "2026-01-03") == ""
    assert older(later(files=0, newest=None), later(files=0, newest=None), "2026-01-03") == ""


pages = st.builds(
    lambda files, minor, serial: later(files=files, newest=f"0.{minor}.0" if files else None, serial=serial),
    st.integers(0, 5),
    st.integers(8, 12),
    st.none() | st.integers(0, 5),
)


@given(pages, pages)
def test_of_two_pages_that_differ_in_reach_not_both_are_news(one: Page, other: Page) -> None:
    assert older(one, one, "2026-01-02") == ""
    if one.files and other.files and one.serial == other.serial and one.newest != other.newest:
        assert bool(older(one, other, "2026-01-02")) != bool(older(other, one, "2026-01-02"))
    if one.files and not other.files:
        assert older(other, one, "2026-01-02") and not older(one, other, "2026-01-02")


@pytest.mark.parametrize(
    ("page", "doubtful"),
    [
        (later(), False),
        (later(files=0, status=404), False),
        (later(files=0, status=410), False),
        (later(files=0, status=403), True),
        (later(files=0, status=403, place="https://download.pytorch.org/whl/cpu"), False),
        (later(files=0), True),
        (later(files=0, index=False), False),  # a page of links for any package need not have this one
        (later(files=0, index=False, status=404), True),
    ],
)
def test_which_pages_are_no_answer(page: Page, doubtful: bool) -> None:
    assert bool(doubt(page)) == doubtful


def test_a_newer_serial_outranks_what_is_kept_and_an_older_one_is_warned_of(
    vllm: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    vllm.serials["vllm"] = 5
    before = listing()
    vllm.serials["vllm"] = 4
    after = listing()
    assert after.releases == before.releases and "its serial is 4, and was 5" in (after.offline or "")
    assert ".json`" in capsys.readouterr().err
    vllm.serials["vllm"] = 6
    del vllm.files["vllm"][next(name for name in vllm.files["vllm"] if "0.15.0" in name)]
    assert listing().offline is None and listing().releases[-1].text == "0.14.0"


def test_a_time_that_is_none_is_one_line(vllm: Index) -> None:
    vllm.add(f"vllm-0.16.0-cp38-abi3-{HERE}.whl", uploaded="yesterday")
    with pytest.raises(PatchkitError, match="sends a list that cannot be read"):
        listing()
