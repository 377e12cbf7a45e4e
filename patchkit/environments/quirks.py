"""Workarounds for single vLLM releases; each quirk names its releases and the reason.

A quirk is a function of the environment's ``site-packages`` folder that returns whether it changed something, and is
safe to apply twice.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

NEW_SYMBOL_VERSIONS = ("GLIBCXX_3.4.32", "CXXABI_1.3.15")
SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6FFFFFFE, 0x6FFFFFFF
VER_NDX_GLOBAL, STB_WEAK = 1, 2

SINGLE_QUERY_WINDOW = re.compile(r"(def single_query_cached_kv_attention\([^)]*?\bwindow_size: int = )-1\b")
WIDE_WINDOW = 1 << 20
"""Tokens; wider than any context that runs on a CPU."""

PRELOAD_REFUSAL = re.compile(r"(def check_preloaded_libs\(.*\n(?:.*\n){0,3}? +)raise RuntimeError\(")


@dataclass(frozen=True)
class Quirk:
    """A workaround, the releases that it is for, and the reason."""

    name: str
    releases: SpecifierSet
    reason: str
    apply: Callable[[Path, str], bool]


def forget_symbol_version(library: bytes, version: str) -> bytes:
    """``library`` (64-bit little-endian ELF) with every demand for the symbol version ``version`` made unversioned.

    In ``.gnu.version`` each symbol bound to that version becomes a plain one, weak in the symbol table, and the entry
    in ``.gnu.version_r`` is marked weak too, so that the loader no longer refuses a C++ library that lacks them. The
    size does not change.

    Raises:
        ValueError: not such an ELF file.
    """
    if library[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    try:
        return _forget(bytearray(library), version.encode())
    except (struct.error, IndexError) as error:
        raise ValueError(f"broken ELF file: {error}") from error


def _forget(data: bytearray, version: bytes) -> bytes:
    table, entry_size, entries = *struct.unpack_from("<Q", data, 0x28), *struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * entry_size) for i in range(entries)]
    forgotten: set[int] = set()
    for _, kind, _, _, start, _, link, count, _, _ in sections:
        if kind == SHT_GNU_VERNEED:
            forgotten |= _weaken(data, start, count, sections[link][4], version)
    for _, kind, _, _, start, size, symbols, *_ in sections:
        if kind == SHT_GNU_VERSYM:
            for i in range(size // 2):
                if struct.unpack_from("<H", data, start + 2 * i)[0] & 0x7FFF in forgotten:
                    struct.pack_into("<H", data, start + 2 * i, VER_NDX_GLOBAL)
                    info = sections[symbols][4] + 24 * i + 4
                    data[info] = STB_WEAK << 4 | data[info] & 0xF
    return bytes(data)


def _weaken(data: bytearray, start: int, count: int, strings: int, version: bytes) -> set[int]:
    """Mark every vernaux entry named ``version`` weak; returns the indices by which symbols refer to them."""
    found, need = set(), start
    for _ in range(count):
        _, auxiliaries, _, offset, following = struct.unpack_from("<HHIII", data, need)
        at = need + offset
        for _ in range(auxiliaries):
            hashed, flags, index, name, step = struct.unpack_from("<IHHII", data, at)
            if data[strings + name : data.index(0, strings + name)] == version:
                struct.pack_into("<IHH", data, at, hashed, flags | 0x2, index)
                found.add(index)
            at += step
        need += following
    return found


def load_with_older_libstdcxx(site_packages: Path, release: str) -> bool:
    """Make vLLM's compiled libraries load where libstdc++ is older than GCC 14's (Debian 12, Ubuntu 22.04).

    The one symbol that is then missing is never called, or only to end the process on an uncatchable exception.
    """
    changed = False
    for library in sorted((site_packages / "vllm").glob("*.so")):
        before = after = library.read_bytes()
        for version in NEW_SYMBOL_VERSIONS:
            if version.encode() in before:
                after = forget_symbol_version(after, version)
        if after != before:
            library.unlink()  # the file may be a hard link into uv's cache: never write through it
            library.write_bytes(after)
            library.chmod(0o755)
            changed = True
    return changed


def name_the_distribution(site_packages: Path, release: str) -> bool:
    """Give ``vllm`` metadata of its own, ending in ``+cpu``: vLLM recognises a CPU build by it."""
    if any(site_packages.glob("vllm-*.dist-info")):
        return False
    folder = site_packages / f"vllm-{release}+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {release}+cpu\n")
    (folder / "INSTALLER").write_text("patchkit\n")
    (folder / "RECORD").write_text("")
    return True


def attend_to_shared_blocks(site_packages: Path, release: str) -> bool:
    """Let a decode step of IPEX 2.8.0 attend to blocks of the prefix cache that its rows share.

    Its kernel for that case refuses every window size below one with "Sliding window unsupported", and so the default
    -1, which means no window; a window wider than any context means the same and is let through.
    """
    file = site_packages / "intel_extension_for_pytorch" / "llm" / "modules" / "mha_fusion.py"  # on x86 only
    return file.is_file() and _rewrite(file, lambda text: SINGLE_QUERY_WINDOW.sub(rf"\g<1>{WIDE_WINDOW}", text))


def do_without_preloaded_libraries(site_packages: Path, release: str) -> bool:
    """Let vLLM's worker on the CPU warn where it refuses to start without two libraries in LD_PRELOAD.

    They only make it faster; the next release warns as well.
    """
    file = site_packages / "vllm" / "v1" / "worker" / "cpu_worker.py"
    return file.is_file() and _rewrite(file, lambda text: PRELOAD_REFUSAL.sub(r"\g<1>logger.warning(", text))


def _rewrite(file: Path, change: Callable[[str], str]) -> bool:
    before = file.read_text(encoding="utf-8")
    after = change(before)
    if after == before:
        return False
    file.unlink()  # it may be a hard link into uv's cache: never write through it
    file.write_text(after, encoding="utf-8")
    return True


QUIRKS = (
    Quirk(
        "load_with_older_libstdcxx",
        SpecifierSet(">=0.10,<0.12", prereleases=True),
        f"the wheels' _C library asks for {' or '.join(NEW_SYMBOL_VERSIONS)}, for one symbol that it can do without",
        load_with_older_libstdcxx,
    ),
    Quirk(
        "name_the_distribution",
        SpecifierSet(">=0.10,<0.13", prereleases=True),
        'the wheels carry no metadata for the name vllm, without which it says "Device string must not be empty"',
        name_the_distribution,
    ),
    Quirk(
        "name_the_command",
        SpecifierSet(">=0.23", prereleases=True),
        "the command `vllm` asks for the version of a distribution named vllm, which the wheels do not have",
        name_the_distribution,
    ),
    Quirk(
        "attend_to_shared_blocks",
        SpecifierSet("==0.11.0"),
        'with IPEX 2.8.0 a decode step whose rows share cached blocks fails: "Sliding window unsupported"',
        attend_to_shared_blocks,
    ),
    Quirk(
        "do_without_preloaded_libraries",
        SpecifierSet(">=0.18,<0.19"),
        "the worker does not start unless LD_PRELOAD names libtcmalloc and libiomp; later releases only warn",
        do_without_preloaded_libraries,
    ),
)


def apply_quirks(site_packages: Path, release: str) -> list[str]:
    """Apply every quirk that ``release`` has; returns the names of those that changed something."""
    return [q.name for q in QUIRKS if q.releases.contains(release) and q.apply(site_packages, release)]


def quirks_of(release: str) -> list[str]:
    return [quirk.name for quirk in QUIRKS if quirk.releases.contains(release)]
