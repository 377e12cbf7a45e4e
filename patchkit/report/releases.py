"""The releases in the package index, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.version import Version
from rich.table import Table
from rich.text import Text

from patchkit.console import out
from patchkit.drift.index import DISTRIBUTIONS, Listing
from patchkit.report import tables

COLUMNS = ("vLLM", "released", "on this machine", "lock")


def show(has: Listing, rows: Sequence[Mapping[str, Any]], news: Mapping[str, Any]) -> None:
    """Print a row a release, and one line: newest, last proven, how many came since.

    Args:
        rows, news: as ``patchkit releases --json`` gives them.
    """
    if rows:
        tables.show(_table(rows))
    out.print(_summary(has, news))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = tables.plain(*COLUMNS, "state", whole=COLUMNS)
    for row in rows:
        table.add_row(
            Text(row["release"], "bold" if row["new"] else ""),
            row["uploaded"] or "",
            _installable(row),
            "✓" if row["locked"] else "",
            _state(row),
        )
    return table


def _installable(row: Mapping[str, Any]) -> Text:
    wheels = [name for name, there in (("wheel", row["wheel"]), ("CPU wheel", row["cpu_wheel"])) if there]
    if wheels:
        return Text(", ".join(wheels))
    return Text("source only" if row["source"] else "nothing", "dim")


def _state(row: Mapping[str, Any]) -> Text:
    said: list[tuple[str, str]] = []
    if row["yanked"] is not None:
        said.append((f"withdrawn: {row['yanked']}" if row["yanked"] else "withdrawn", "red"))
    if row["prerelease"]:
        said.append(("pre-release", "yellow"))
    if row["proven"]:
        said.append((f"proven{_where(row)}", "green"))
    if row["new"]:
        said.append(("new", "bold cyan"))
    if row["developed_on"]:
        said.append(("developed on", ""))
    return Text(", ").join(Text(text, style) for text, style in said)


def _where(row: Mapping[str, Any]) -> str:
    """Where else than on the CPU with the first model runner a release is proven."""
    green = [one for one in row["proofs"] if one["green"]]
    names = [one["device"] + (f" {one['runner']}" if one["runner"] != "v1" else "") for one in green]
    return "" if names in ([], ["cpu"]) else f" on {', '.join(dict.fromkeys(names))}"


def _summary(has: Listing, news: Mapping[str, Any]) -> Text:
    """One line; when that was so, if it is not now."""
    count = len(news["newer"])
    newer = f"{count} newer" if count else "nothing newer"
    if not count and _doubtful(has, news):
        newer = "whether there is a newer one is not known"
    proven = f"last proven {news['last_proven']}" if news["last_proven"] else "none proven"
    line = Text.assemble(("newest ", ""), (news["newest"] or "none", "bold"), f" · {proven} · ")
    line.append(newer, "bold cyan" if count else "yellow" if _doubtful(has, news) else "green")
    if has.offline:
        line.append(f" · as of {has.asked:%Y-%m-%d %H:%M} UTC, for the index cannot be reached", "yellow")
    return line


def _doubtful(has: Listing, news: Mapping[str, Any]) -> bool:
    """Whether a place did not answer, or the page ends before the last proven release: more may be missing."""
    end, last = has.ends_at(DISTRIBUTIONS[0]), news["last_proven"]
    return has.offline is not None or bool(has.unseen) or end is None or (last is not None and end < Version(last))
