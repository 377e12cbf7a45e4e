"""The workarounds for single releases, on a small ELF file made by hand."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchkit.environments.quirks import (
    NEW_SYMBOL_VERSIONS,
    apply_quirks,
    attend_to_shared_blocks,
    do_without_preloaded_libraries,
    forget_symbol_version,
    load_with_older_libstdcxx,
    name_the_distribution,
)

NEW_SYMBOL_VERSION = NEW_SYMBOL_VERSIONS[0]
GLOBAL_FUNCTION, WEAK_FUNCTION = 0x12, 0x22


def elf(versions: list[str], symbols: list[int]) -> bytes:
    """A library that needs ``versions`` (indices from 2 on) of one file, and whose symbols refer to ``symbols``."""
    strings, offsets = b"\0libstdc++.so.6\0", []
    for version in versions:
        offsets.append(len(strings))
        strings += version.encode() + b"\0"
    auxiliaries = b"".join(
        struct.pack("<IHHII", 7, 0, i + 2, at, 16 if i + 1 < len(versions) else 0) for i, at in enumerate(offsets)
    )
    needed = struct.pack("<HHIII", 1, len(versions), 1, 16, 0) + auxiliaries
    used = struct.pack(f"<{len(symbols)}H", *symbols)
    table = b"".join(struct.pack("<IBBHQQ", 0, GLOBAL_FUNCTION, 0, 0, 0, 0) for _ in symbols)
    parts, content, places = [strings, used, needed, table], b"", []
    for part in parts:
        places.append((64 + len(content), len(part)))
        content += part + b"\0" * (-len(part) % 8)
    sections = [
        (0, 0, (0, 0), 0, 0),
        (0, 3, places[0], 0, 0),
        (0, 0x6FFFFFFF, places[1], 4, 0),
        (0, 0x6FFFFFFE, places[2], 1, 1),
        (0, 11, places[3], 1, 1),
    ]
    table = b"".join(struct.pack("<IIQQQQIIQQ", n, k, 0, 0, *p, link, info, 1, 0) for n, k, p, link, info in sections)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(content), 0, 64, 56, 0, 64, len(sections), 1)
    return head + content + table


def test_the_version_is_forgotten_and_nothing_else() -> None:
    before = elf(["GLIBCXX_3.4", NEW_SYMBOL_VERSION, "GLIBCXX_3.4.29"], [0, 1, 2, 3, 3, 4])
    after = forget_symbol_version(before, NEW_SYMBOL_VERSION)
    at = before.index(struct.pack("<6H", 0, 1, 2, 3, 3, 4))
    assert after[at : at + 12] == struct.pack("<6H", 0, 1, 2, 1, 1, 4)
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(changed) == 5  # two symbols, each in two tables, and one flag: weak
    assert [after[i] for i in changed if before[i] == GLOBAL_FUNCTION] == [WEAK_FUNCTION, WEAK_FUNCTION]
    assert forget_symbol_version(after, NEW_SYMBOL_VERSION) == after


@given(
    st.lists(st.sampled_from(["A_1", "A_1.2", "B_3"]), min_size=1, max_size=6), st.lists(st.integers(0, 7), max_size=20)
)
def test_only_symbols_of_that_version_change(versions: list[str], symbols: list[int]) -> None:
    after = forget_symbol_version(elf(versions, symbols), "A_1")
    gone = {i + 2 for i, version in enumerate(versions) if version == "A_1"}
    assert struct.pack(f"<{len(symbols)}H", *(1 if s in gone else s for s in symbols)) in after


@given(st.binary(max_size=200))
def test_a_broken_library_is_a_value_error(garbage: bytes) -> None:
    for data in (garbage, b"\x7fELF\x02\x01" + garbage):
        with contextlib.suppress(ValueError):
            forget_symbol_version(data, "A")


def test_a_file_shared_with_the_cache_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    cached, library = tmp_path / "cached", tmp_path / "vllm" / "_C.abi3.so"
    cached.write_bytes(elf([NEW_SYMBOL_VERSION], [2]))
    os.link(cached, library)
    assert load_with_older_libstdcxx(tmp_path, "0.10.1.1")
    assert cached.read_bytes() == elf([NEW_SYMBOL_VERSION], [2]) != library.read_bytes()
    assert not load_with_older_libstdcxx(tmp_path, "0.10.1.1")


def test_the_distribution_is_named_once(tmp_path: Path) -> None:
    assert name_the_distribution(tmp_path, "0.11.0")
    assert "Version: 0.11.0+cpu" in (tmp_path / "vllm-0.11.0+cpu.dist-info" / "METADATA").read_text()
    assert not name_the_distribution(tmp_path, "0.11.0")


def test_only_the_window_of_the_decode_kernel_is_widened(tmp_path: Path) -> None:
    cached = tmp_path / "cached.py"
    cached.write_text(
        "class PagedAttention:\n"
        "    def single_query_cached_kv_attention(\n        cls,\n        window_size: int = -1,\n"
        "        k_scale: float = 1.0,\n    ):\n        return cls.ops(window_size)\n\n"
        "    def flash_attn_varlen_func(cls, window_size: int = -1):\n        return -1\n"
    )
    before = cached.read_text()
    (tmp_path / "intel_extension_for_pytorch" / "llm" / "modules").mkdir(parents=True)
    file = tmp_path / "intel_extension_for_pytorch" / "llm" / "modules" / "mha_fusion.py"
    os.link(cached, file)
    assert attend_to_shared_blocks(tmp_path, "0.11.0")
    assert file.read_text() == before.replace("window_size: int = -1", "window_size: int = 1048576", 1)
    assert cached.read_text() == before
    assert not attend_to_shared_blocks(tmp_path, "0.11.0")


def test_a_worker_without_preloaded_libraries_warns(tmp_path: Path) -> None:
    file = tmp_path / "vllm" / "v1" / "worker" / "cpu_worker.py"
    file.parent.mkdir(parents=True)
    source = (
        "def check_preloaded_libs(name: str):\n    loaded = ''\n    if name not in loaded:\n"
        "        raise RuntimeError(\n            f'{name} is not found'\n        )\n\n"
        "def other():\n    raise RuntimeError('kept')\n"
    )
    file.write_text(source)
    assert do_without_preloaded_libraries(tmp_path, "0.18.1")
    assert file.read_text() == source.replace("raise RuntimeError(\n", "logger.warning(\n")
    assert not do_without_preloaded_libraries(tmp_path, "0.18.1")


@pytest.mark.parametrize("quirk", [attend_to_shared_blocks, do_without_preloaded_libraries])
def test_a_file_that_is_not_there_is_not_mended(quirk: Callable[[Path, str], bool], tmp_path: Path) -> None:
    assert not quirk(tmp_path, "0.11.0")


@pytest.mark.parametrize(
    ("release", "applied"), [("0.12.0", ["name_the_distribution"]), ("0.13.0", []), ("0.20.0", [])]
)
def test_a_quirk_is_for_its_releases_only(release: str, applied: list[str], tmp_path: Path) -> None:
    assert apply_quirks(tmp_path, release) == applied
