"""Public packages that patch vLLM, read as runtimes: ``python benchmarks/drift/public_packages.py NAME=CHECKOUT …``.

Counts what is read of each and looks for what would be green unseen, in three ways that do not use the scanner's own
judgement: lines that set something of vLLM by a plain search of the text, calls bound to signatures by Python itself,
and the same drift with all of the code hidden. ``public_packages.yaml`` has the commits and the counts; nothing of
the packages is kept. Exits with 1 if a count differs or anything is green unseen.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml
from packaging.version import Version

from patchkit.drift.compare import compare
from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.fixes import SymbolChange, with_fix
from patchkit.drift.index import find, listing
from patchkit.drift.package import Package, Universe
from patchkit.drift.published_source import PublishedSource
from patchkit.drift.reading import Reading, read
from patchkit.drift.runtime_usage import read_code
from patchkit.drift.surface_check import Folder, canonical
from patchkit.drift.touch import CallShape, CodeRead, Touch, Unread
from patchkit.series.manifest import Surface
from patchkit.series.series import Series

TRUTH = Path(__file__).with_suffix(".yaml")
DECLARED = ("wraps", "replaces", "calls", "constructs", "derives")
KINDS = {"positional": inspect.Parameter.POSITIONAL_OR_KEYWORD, "keyword": inspect.Parameter.KEYWORD_ONLY}
NO_PATCHES = Series(Path("series"), (), ())


@dataclass
class Code:
    """The code of a package as the scanner asks for it."""

    read: CodeRead
    universe: Universe

    def on(self, symbol: str) -> Sequence[Touch]:
        wanted = canonical(symbol, self.universe)
        return [touch for touch in self.read.touches if canonical(touch.symbol, self.universe) == wanted]

    def dropped(self, symbol: str) -> str:
        return ""

    @property
    def unread(self) -> Sequence[Unread]:
        return self.read.unread


def measured(name: str, checkout: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Every count of one package."""
    began = time.perf_counter()
    has = listing()
    folder = Folder(checkout / row["folder"], name)
    old, new = (Package(PublishedSource(find(has, release)), "vllm") for release in row["releases"])
    read_old = read_code(Package(folder, row["package"]), old, {})
    seconds = time.perf_counter() - began
    surface = surface_of(read_old)
    before = read(surface, old)
    after = read(surface, new, before)
    read_new = read_code(Package(folder, row["package"]), new, {})
    seen = Code(read_new, Universe(new))
    found = judged(surface, before, after, seen)
    hidden = judged(surface, before, after, Code(CodeRead(()), Universe(new)))
    print(f"{name}: read in {seconds:.1f} s", file=sys.stderr)
    return {
        "touches": dict(sorted(Counter(touch.manner for touch in read_old.touches).items())),
        "not_followed": dict(sorted(Counter(_kind(one) for one in read_old.unread).items())),
        "passed_over": sorted(passed_over(folder, row["package"], read_old)),
        "breaks": sum(one.breaks for one in found),
        "open": sum(one.unpatched for one in found),
        "green_and_does_not_bind": sorted(unbound(found, after, seen)),
        "green_with_the_code_hidden": sorted(one.symbol for one in hidden if one.breaks and not one.unpatched),
    }


def _kind(unread: Unread) -> str:
    """Why a line could not be followed, without the names in it."""
    return re.sub(r"`[^`]*`", "…", unread.why.partition(": ")[0])


def surface_of(code: CodeRead) -> Surface:
    """Everything that the code was read to do, declared."""
    by_manner: dict[str, dict[str, None]] = {manner: {} for manner in DECLARED}
    for touch in code.touches:
        if touch.manner in by_manner:
            by_manner[touch.manner][touch.symbol] = None
    return msgspec.convert({manner: list(symbols) for manner, symbols in by_manner.items()}, Surface)


def judged(surface: Surface, old: Reading, new: Reading, code: Code) -> list[Finding]:
    """The findings, and whether the code copes with each."""
    versions = Version(old.release), Version(new.release)
    return [
        with_fix(
            finding,
            NO_PATCHES,
            SymbolChange(
                *versions,
                False,
                old.contracts[finding.symbol],
                new.contracts[finding.symbol],
                frozenset(surface.manners().get(finding.symbol, ())),
            ),
            code,
        )
        for finding in compare(surface, old, new)
    ]


# By a plain search of the text.

SET = ("wraps", "replaces", "writes")
IMPORTED = re.compile(r"^\s*(?:from (vllm(?:\.\w+)*) import \(?([^#()]*)|import (vllm(?:\.\w+)*)(?: as (\w+))?)", re.M)
SETS = re.compile(r"^[ \t]*([A-Za-z_]\w*)((?:\.\w+)+)[ \t]*=(?!=)|\bsetattr\(\s*([A-Za-z_]\w*)\s*,", re.M)


def passed_over(folder: Folder, package: str, code: CodeRead) -> Iterator[str]:
    """Lines that set an attribute of a name that the file imports from vLLM, and of which the reading says nothing.

    It says something if the line is listed, or a hook or a write of an attribute of that name was read anywhere: the
    place of a hook is that of the function that is put.
    """
    listed = {touch.place for touch in code.touches} | {unread.place for unread in code.unread}
    hooks = {one.symbol.rpartition(".")[2] for one in code.touches if one.manner in SET}
    for path in [path for path in folder.paths() if path.partition("/")[0] == package]:
        text = folder.read(path) or ""
        names = set(_imported(text))
        for found in SETS.finditer(text):
            name, attribute = found[1] or found[3], (found[2] or "").rpartition(".")[2]
            line = text.count("\n", 0, found.start(1) if found[1] else found.start()) + 1
            said = any(f"{path}:{at}" in listed for at in _statement(text, line))
            if name in names and not said and attribute not in hooks:
                yield f"{path}:{line} {found[0].strip()}"


def _imported(text: str) -> Iterator[str]:
    for found in IMPORTED.finditer(text):
        if found[3]:
            yield found[4] or "vllm"
        else:
            body = text[found.start(2) :].partition(")")[0] if "(" in found[0] else found[2].partition("\n")[0]
            for one in body.split(","):
                words = re.findall(r"\w+", one.partition("#")[0])
                if words:
                    yield words[-1]


def _statement(text: str, line: int) -> range:
    """The lines of a statement, as far as brackets show."""
    lines, depth = text.splitlines(), 0
    for at in range(line - 1, min(line + 40, len(lines))):
        depth += sum(map(lines[at].count, "([{")) - sum(map(lines[at].count, ")]}"))
        if depth <= 0:
            return range(line, at + 2)
    return range(line, line + 1)


# By Python's own binding of arguments.


def unbound(found: Sequence[Finding], new: Reading, code: Code) -> Iterator[str]:
    """Green findings of a symbol of which some call, or hook, does not bind."""
    for finding in found:
        if finding.breaks and not finding.unpatched:
            contract = new.contracts[finding.symbol]
            for touch in code.on(finding.symbol):
                if touch.call and not _binds(touch, touch.call, contract):
                    yield f"{touch.place} {touch.manner} {finding.symbol}"


def _binds(touch: Touch, call: CallShape, contract: Contract) -> bool:
    if touch.manner in ("calls", "constructs"):
        rest = any(one.kind == "rest" for one in contract.parameters)
        named = any(one.kind == "named" for one in contract.parameters)
        made = [
            inspect.Parameter(one.name, KINDS[one.kind], default=_default(one.default))
            for one in contract.parameters
            if one.kind in KINDS
        ]
        return call.rest or call.named or _bind(made, rest, named, call.positional, call.keywords)
    if touch.manner not in ("wraps", "replaces"):
        return True
    made = [inspect.Parameter(f"p{at}", KINDS["positional"], default=0) for at in range(call.positional)]
    made += [inspect.Parameter(name, KINDS["keyword"], default=0) for name in call.keywords]
    return all(
        site.open_ended or call.named or _bind(made, call.rest, call.named, site.positional, ())
        for site in contract.callers
    )


def _default(written: str | None) -> Any:
    return inspect.Parameter.empty if written is None else 0


def _bind(made: list[inspect.Parameter], rest: bool, named: bool, count: int, keywords: Sequence[str]) -> bool:
    positional = [one for one in made if one.kind is KINDS["positional"]]
    every = [*positional, *([inspect.Parameter("rest", inspect.Parameter.VAR_POSITIONAL)] if rest else [])]
    every += [one for one in made if one.kind is KINDS["keyword"]]
    every += [inspect.Parameter("named", inspect.Parameter.VAR_KEYWORD)] if named else []
    try:
        inspect.Signature(every).bind(*[0] * count, **dict.fromkeys(keywords, 0))
    except (TypeError, ValueError):
        return False
    return True


def main() -> int:
    document = yaml.safe_load(TRUTH.read_text(encoding="utf-8"))
    wrong = 0
    for given in sys.argv[1:]:
        name, _, checkout = given.partition("=")
        if name not in document["packages"] or not checkout:
            sys.exit(f"{given}: write NAME=CHECKOUT, NAME one of {', '.join(document['packages'])}")
        counts = measured(name, Path(checkout), document["packages"][name])
        expected = document["packages"][name].get("counts")
        print(yaml.safe_dump({name: {"counts": counts}}, sort_keys=False, width=120), end="")
        unseen = [
            key for key in ("passed_over", "green_and_does_not_bind", "green_with_the_code_hidden") if counts[key]
        ]
        wrong += bool(unseen) or counts != expected
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
