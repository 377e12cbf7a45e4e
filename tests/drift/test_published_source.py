"""Files out of remote wheels and archives: in parts, whole where it must be, kept, and never damaged."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_index import FOREIGN, HERE, MODULES, Index, archive_of, wheel_of

from patchkit.drift import remote_wheel
from patchkit.drift.index import File, find, listing
from patchkit.drift.published_source import PublishedSource
from patchkit.drift.source import source_of
from patchkit.drift.source_cache import Entry, SourceCache, entry_of
from patchkit.drift.whole_distribution import PYTHON_FILE
from patchkit.errors import PatchkitError
from patchkit.project import cache_home

WHEEL = f"vllm-0.12.0-cp38-abi3-{HERE}.whl"


def published(release: str = "0.12.0") -> PublishedSource:
    return PublishedSource(find(listing(), release))


def all_of(source: PublishedSource) -> dict[str, str | None]:
    return {path: source.read(path) for path in source.paths()}


def cached(name: str) -> Path:
    (file,) = (cache_home() / "sources").rglob(name)
    return file


@pytest.fixture
def small(index: Index) -> Index:
    """An index with one wheel."""
    index.add(WHEEL)
    return index


def test_files_come_out_of_a_wheel_in_parts(small: Index) -> None:
    source = published()
    assert (source.release, source.origin) == ("0.12.0", WHEEL)
    assert sorted(source.paths()) == sorted(MODULES)
    assert source.read("vllm/engine/words.py") == MODULES["vllm/engine/words.py"]
    assert source.read("vllm/none.py") is None and source.read("other/module.py") is None
    assert all(wanted for _, _, wanted in small.asked_for(WHEEL))
    assert small.sent < len(small.files["vllm"][WHEEL].content) / 2
    assert all_of(source) == MODULES


def test_a_big_list_of_files_is_read_too(index: Index) -> None:
    modules = {f"vllm/made/up/module_{number:04}.py": f"NUMBER = {number}\n" for number in range(80)}
    index.add(WHEEL, wheel_of(modules, padding=0))
    assert len(index.files["vllm"][WHEEL].content) > 2 * remote_wheel.TAIL
    source = published()
    assert source.read("vllm/made/up/module_0050.py") == "NUMBER = 50\n"
    assert len(source.paths()) == 80
    again = published()
    again.prefetch(modules)
    assert all_of(again) == modules


def test_what_was_read_once_is_there_offline(small: Index) -> None:
    source = published()
    source.read("vllm/engine/core.py")
    has = listing()
    small.stop()
    again = source_of("0.12.0", has)
    assert again.read("vllm/engine/core.py") == MODULES["vllm/engine/core.py"]
    assert sorted(again.paths()) == sorted(MODULES)
    with pytest.raises(PatchkitError, match=r"cannot read vLLM 0\.12\.0 \(vllm-0.12.0.*what was read is cached"):
        again.read("vllm/layers/norm.py")


def test_neighbours_come_together_and_once(small: Index) -> None:
    source = published()
    source.prefetch([*MODULES, "vllm/none.py"])
    asked = len(small.asked_for(WHEEL))
    assert asked <= 3  # the end, and one or two places between what cannot be compressed
    assert all_of(source) == MODULES
    source.prefetch(MODULES)
    published().prefetch(MODULES)
    assert len(small.asked_for(WHEEL)) == asked


def test_a_wheel_is_opened_again_without_asking(small: Index) -> None:
    published().paths()
    asked = len(small.asked_for(WHEEL))
    assert published().read("vllm/engine/core.py") == MODULES["vllm/engine/core.py"]
    assert len(small.asked_for(WHEEL)) == asked + 1


def test_many_releases_at_once(vllm: Index) -> None:
    has = listing()
    sources = [PublishedSource(release) for release in has.releases]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda source: source.prefetch(MODULES), sources))
    vllm.stop()
    for source in sources:
        assert {path: source.read(path) for path in source.paths()} == MODULES, source.release


def test_a_server_without_parts_is_read_whole_once(small: Index, capsys: pytest.CaptureFixture[str]) -> None:
    small.faults.no_ranges = True
    assert all_of(published()) == MODULES
    assert all_of(published()) == MODULES
    assert f"reading all of {WHEEL}, for its server sends no parts" in capsys.readouterr().err
    assert [wanted for method, _, wanted in small.asked_for(WHEEL) if method == "GET"].count("") == 1
    assert not list((cache_home() / "sources").rglob("*.whl"))


def test_a_server_that_does_not_know_the_last_bytes(small: Index) -> None:
    small.faults.no_suffix = True
    assert all_of(published()) == MODULES
    assert "" not in [wanted for method, _, wanted in small.asked_for(WHEEL) if method == "GET"]


@pytest.mark.parametrize("fault", ["broken", "throttled", "dropped", "short"])
@pytest.mark.parametrize("whole", [False, True])
def test_what_fails_in_passing_is_tried_again(small: Index, fault: str, whole: bool) -> None:
    source = published()
    small.faults.no_ranges = whole
    setattr(small.faults, fault, 2)
    assert all_of(source) == MODULES


@pytest.mark.parametrize(
    ("fault", "why"), [("broken", "answers 500"), ("dropped", "127.0.0.1"), ("forbidden", "answers 403")]
)
def test_what_never_works_is_one_line(small: Index, fault: str, why: str) -> None:
    source = published()
    setattr(small.faults, fault, 99)
    with pytest.raises(PatchkitError, match=rf"cannot read vLLM 0\.12\.0 \(vllm-0\.12\.0.*{why}"):
        source.read("vllm/engine/core.py")


@pytest.mark.parametrize("harm", [lambda content: content[:-3], lambda content: b"X" + content[1:], lambda _: b""])
@pytest.mark.parametrize("name", ["core.py", "files.json", "end"])
def test_damage_in_the_cache_is_noticed_and_mended(small: Index, name: str, harm) -> None:  # type: ignore[no-untyped-def]
    published().read("vllm/engine/core.py")
    file = cached(name)
    file.write_bytes(harm(file.read_bytes()))
    assert published().read("vllm/engine/core.py") == MODULES["vllm/engine/core.py"]
    assert all_of(published()) == MODULES


def test_damage_in_the_cache_is_loud_offline(small: Index) -> None:
    source = published()
    source.read("vllm/engine/core.py")
    source.close()
    file = cached("core.py")
    file.write_bytes(file.read_bytes()[:-1])
    small.stop()
    with pytest.raises(PatchkitError, match="cannot read"):
        source.read("vllm/engine/core.py")


@pytest.mark.parametrize("whole", [False, True])
def test_a_damaged_wheel_is_loud(index: Index, whole: bool) -> None:
    content = bytearray(wheel_of(MODULES))
    place = content.index(b"vllm/layers/norm.py") + len("vllm/layers/norm.py")
    content[place : place + 8] = b"\xff" * 8
    index.add(WHEEL, bytes(content))
    index.faults.no_ranges = whole
    with pytest.raises(PatchkitError, match="it is damaged, or came so"):
        published().read("vllm/layers/norm.py")


def test_what_is_no_wheel_is_loud(index: Index) -> None:
    index.add(WHEEL, b"<html>log in first</html>" * 999)
    with pytest.raises(PatchkitError, match="it is damaged, or came so"):
        published().paths()


def test_a_release_without_a_wheel_for_here_is_read_from_its_archive(vllm: Index) -> None:
    source = published("0.14.0")
    assert source.origin == "vllm-0.14.0.tar.gz"
    assert all_of(source) == MODULES
    vllm.stop()
    assert all_of(PublishedSource(find(listing(), "0.14.0"))) == MODULES


def test_a_file_of_an_archive_that_was_damaged_in_the_cache_is_fetched_again(vllm: Index) -> None:
    published("0.14.0").paths()
    for kept in (cache_home() / "sources").rglob("core.py"):
        kept.write_text("damaged")
    assert all_of(published("0.14.0")) == MODULES


def test_an_archive_that_is_another_is_refused_and_nothing_of_it_is_believed(index: Index) -> None:
    index.add("vllm-0.12.0.tar.gz")
    index.files["vllm"]["vllm-0.12.0.tar.gz"].content = archive_of({"vllm/evil.py": ""}, "vllm-0.12.0.tar.gz")
    with pytest.raises(PatchkitError, match="its hash is not the one that the index lists"):
        published().paths()
    assert not list((cache_home() / "sources").rglob("files.json"))


def test_a_truncated_archive_is_loud(index: Index) -> None:
    content = archive_of(MODULES, "vllm-0.12.0.tar.gz")
    index.add("vllm-0.12.0.tar.gz", content[: len(content) // 2], hashed=False)
    with pytest.raises(PatchkitError, match="it is damaged, or came so"):
        published().paths()


def test_a_wheel_for_another_platform_will_do_and_its_origin_says_so(vllm: Index) -> None:
    source = published("0.15.0")
    assert source.origin == f"vllm-0.15.0-cp38-abi3-{FOREIGN}.whl (a wheel for another platform)"
    assert all_of(source) == MODULES


def test_what_is_neither_wheel_nor_archive(index: Index) -> None:
    index.add("vllm-0.12.0.zip", b"")
    with pytest.raises(PatchkitError, match="neither a wheel nor a source archive"):
        published()


def test_an_index_without_hashes_will_do(index: Index) -> None:
    index.add(WHEEL, hashed=False)
    assert all_of(published()) == MODULES
    index.stop()
    assert all_of(published()) == MODULES


def test_a_local_wheel(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nothing_set / "my wheels"
    folder.mkdir()
    (folder / WHEEL).write_bytes(wheel_of(MODULES))
    (folder / "vllm-0.13.0.tar.gz").write_bytes(archive_of(MODULES, "vllm-0.13.0.tar.gz"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", (folder).as_uri())
    assert all_of(published()) == all_of(published("0.13.0")) == MODULES
    (folder / WHEEL).write_bytes(wheel_of({"vllm/new.py": "built = 'again'\n"}))
    assert all_of(published()) == {"vllm/new.py": "built = 'again'\n"}


def test_credentials_are_used_for_files_too(small: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    small.faults.user = "me:secret"
    monkeypatch.setenv("UV_DEFAULT_INDEX", small.url.replace("//", "//me:secret@"))
    assert all_of(published()) == MODULES


def test_paths_that_lead_out_of_the_cache_are_no_files(index: Index) -> None:
    index.add(
        WHEEL, wheel_of({"vllm/../../evil.py": "", "vllm/good.py": "", "/vllm/evil.py": "", "vllm/./evil.py": ""})
    )
    assert sorted(published().paths()) == ["vllm/good.py"]


@given(st.text("av/.\\\0\n", max_size=12))
@settings(max_examples=200)
def test_no_path_leads_out_of_the_cache(rest: str) -> None:
    path = f"vllm/{rest}.py"
    if PYTHON_FILE.fullmatch(path):
        assert not {"..", "."} & {*path.split("/")} and "\0" not in path and "\\" not in path


def test_threads_share_a_source(small: Index) -> None:
    source = published()
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(source.read, [*MODULES] * 8))
    assert texts == [*MODULES.values()] * 8


def test_processes_share_the_cache(small: Index) -> None:
    small.faults.no_ranges = True
    code = (
        "from patchkit.drift.source import source_of\n"
        "source = source_of('0.12.0')\n"
        "print(sum(len(source.read(path)) for path in source.paths()))"
    )
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0].strip() for process in running}
    assert said == {str(sum(map(len, MODULES.values())))}
    assert [wanted for method, _, wanted in small.asked_for(WHEEL) if method == "GET"].count("") == 1


@given(st.dictionaries(st.from_regex(r"vllm/[a-z]{1,8}\.py", fullmatch=True), st.binary(max_size=200), max_size=6))
@settings(max_examples=25, deadline=None)
def test_the_cache_gives_back_what_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATCHKIT_HOME", str(tmp_path_factory.mktemp("cache")))
        kept = SourceCache(File("vllm", "x.whl", "https://i/x.whl", hashlib.sha256(repr(files).encode()).hexdigest()))
        assert kept.entries() is None
        entries = {path: entry_of(content) for path, content in files.items()}
        for path, content in files.items():
            assert kept.get(path, entries[path]) is None
            kept.put(path, content)
        kept.put_entries(entries)
        assert kept.entries() == entries
        assert {path: kept.get(path, entry) for path, entry in entries.items()} == files
        assert all(kept.get(path, Entry(entry.crc ^ 1, entry.size)) is None for path, entry in entries.items())
