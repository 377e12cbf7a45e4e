"""What single vLLM releases need beyond their packages; each quirk says for which, and why.

A quirk is a function of the environment's ``site-packages`` folder that returns whether it changed something, and is
safe to apply twice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

NEW_SYMBOL_VERSION = "GLIBCXX_3.4.32"
SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6FFFFFFE, 0x6FFFFFFF
VER_NDX_GLOBAL = 1


@dataclass(frozen=True)
class Quirk:
    """One mend, the releases that it is for, and the reason."""

    name: str
    releases: SpecifierSet
    reason: str
    apply: Callable[[Path, str], bool]


def forget_symbol_version(library: bytes, version: str) -> bytes:
    """``library`` (64-bit little-endian ELF) with every demand for the symbol version ``version`` made unversioned.

    In ``.gnu.version`` each symbol bound to that version becomes a plain global one, and the entry in
    ``.gnu.version_r`` is marked weak, so that the loader no longer refuses a C++ library that lacks it. The
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
    for _, kind, _, _, start, size, *_ in sections:
        if kind == SHT_GNU_VERSYM:
            for at in range(start, start + size, 2):
                if struct.unpack_from("<H", data, at)[0] & 0x7FFF in forgotten:
                    struct.pack_into("<H", data, at, VER_NDX_GLOBAL)
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
    """Make vLLM's compiled libraries load where libstdc++ is older than GCC 13's (Debian 12, Ubuntu 22.04)."""
    changed = False
    for library in sorted((site_packages / "vllm").glob("*.so")):
        before = library.read_bytes()
        if NEW_SYMBOL_VERSION.encode() not in before:
            continue
        after = forget_symbol_version(before, NEW_SYMBOL_VERSION)
        if after != before:
            library.unlink()  # the file may be a hard link into uv's cache: never write through it
            library.write_bytes(after)
            library.chmod(0o755)
            changed = True
    return changed


def name_the_distribution(site_packages: Path, release: str) -> bool:
    """Give ``vllm`` metadata of its own, ending in ``+cpu``: by it vLLM tells that it is a build for the CPU."""
    if any(site_packages.glob("vllm-*.dist-info")):
        return False
    folder = site_packages / f"vllm-{release}+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {release}+cpu\n")
    (folder / "INSTALLER").write_text("patchkit\n")
    (folder / "RECORD").write_text("")
    return True


QUIRKS = (
    Quirk(
        "load_with_older_libstdcxx",
        SpecifierSet(">=0.10,<0.11", prereleases=True),
        f"the wheels' _C library asks for {NEW_SYMBOL_VERSION}, for one symbol whose older form serves as well",
        load_with_older_libstdcxx,
    ),
    Quirk(
        "name_the_distribution",
        SpecifierSet(">=0.10,<0.13", prereleases=True),
        'the wheels carry no metadata for the name vllm, without which it says "Device string must not be empty"',
        name_the_distribution,
    ),
)


def apply_quirks(site_packages: Path, release: str) -> list[str]:
    """Apply every quirk that ``release`` has; returns the names of those that changed something."""
    return [q.name for q in QUIRKS if q.releases.contains(release) and q.apply(site_packages, release)]
