"""The verb ``releases``: what the package index has, what is proven, what is new."""

from __future__ import annotations

import json
from typing import Any

from packaging.version import Version
from rich.console import Console
from rich.table import Table
from rich.text import Text

from patchkit.console import out
from patchkit.drift.index import DISTRIBUTIONS, Listing, Release, listing, timeline
from patchkit.environments.lock import locked_releases
from patchkit.project import find_project
from patchkit.series.manifest import Manifest, load_manifest

MAIN, CPU = DISTRIBUTIONS


def releases(runtime: str, everything: bool, as_json: bool) -> int:
    """List the releases of vLLM, newest first.

    Args:
        everything: also those before the one the runtime was developed on, and pre-releases.

    Raises:
        PatchkitError: unknown runtime; or the index cannot be reached, and nothing is kept of it.
    """
    manifest = load_manifest(find_project(), runtime)
    has = listing()
    shown = [release for release in reversed(has.releases) if everything or _recent(release, manifest)]
    rows = [_row(release, manifest) for release in shown]
    news = _news(has, manifest)
    if as_json:
        asked = {**_asked(has), "unseen": list(has.unseen)}
        document = {"runtime": runtime, "developed_on": manifest.developed_on, **asked, **news, "releases": rows}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    if rows:
        _print_table(rows)
    out.print(_summary(has, news))
    return 0


def _recent(release: Release, manifest: Manifest) -> bool:
    return not release.prerelease and release.version >= Version(manifest.developed_on)


def _asked(has: Listing) -> dict[str, Any]:
    return {"asked": has.asked.isoformat(), "offline": has.offline}


def _row(release: Release, manifest: Manifest) -> dict[str, Any]:
    """What there is to say of one release."""
    last = _last_proven(manifest)
    uploaded = release.uploaded
    return {
        "release": release.text,
        "uploaded": uploaded.date().isoformat() if uploaded else None,
        "distributions": list(release.distributions),
        "wheel": any(file.fits for file in _alive(release, MAIN)),
        "cpu_wheel": any(file.fits for file in _alive(release, CPU)),
        "source": any(not file.wheel for file in _alive(release, MAIN)),
        "prerelease": release.prerelease,
        "yanked": release.yanked,
        "developed_on": release.version == Version(manifest.developed_on),
        "proven": release.version in map(Version, manifest.proven),
        "locked": release.version in map(Version, locked_releases("cpu")),
        "new": _is_news(release) and (last is None or release.version > last),
    }


def _alive(release: Release, distribution: str) -> list[Any]:
    return [file for file in release.files if file.distribution == distribution and file.yanked is None]


def _is_news(release: Release) -> bool:
    return not release.prerelease and bool(_alive(release, MAIN))


def _last_proven(manifest: Manifest) -> Version | None:
    return max(map(Version, manifest.proven), default=None)


def _news(has: Listing, manifest: Manifest) -> dict[str, Any]:
    """The newest release, the last proven one, and those that came since, oldest first."""
    last = _last_proven(manifest)
    final = timeline(has, manifest.developed_on)
    return {
        "newest": final[-1].text if final else None,
        "last_proven": str(last) if last else None,
        "newer": [release.text for release in final if last is None or release.version > last],
    }


def _doubtful(has: Listing, news: dict[str, Any]) -> bool:
    """Whether a place did not answer, or the page ends before the last proven release: more may be missing."""
    end, last = has.ends_at(MAIN), news["last_proven"]
    return has.offline is not None or bool(has.unseen) or end is None or (last is not None and end < Version(last))


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print a table, at its own width where no terminal limits it."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("vLLM", "released", "on this machine", "lock", "state"):
        table.add_column(heading, no_wrap=heading != "state")
    for row in rows:
        table.add_row(
            Text(row["release"], "bold" if row["new"] else ""),
            row["uploaded"] or "",
            _installable(row),
            "✔" if row["locked"] else "",
            _state(row),
        )
    console = out if out.is_terminal else Console(file=out.file, width=200)
    console.print(table)


def _installable(row: dict[str, Any]) -> Text:
    """What pip would take on this machine."""
    wheels = [name for name, there in (("wheel", row["wheel"]), ("CPU wheel", row["cpu_wheel"])) if there]
    if wheels:
        return Text(", ".join(wheels))
    return Text("source only" if row["source"] else "nothing", "dim")


def _state(row: dict[str, Any]) -> Text:
    said: list[tuple[str, str]] = []
    if row["yanked"] is not None:
        said.append((f"withdrawn: {row['yanked']}" if row["yanked"] else "withdrawn", "red"))
    if row["prerelease"]:
        said.append(("pre-release", "yellow"))
    if row["proven"]:
        said.append(("proven", "green"))
    if row["new"]:
        said.append(("new", "bold cyan"))
    if row["developed_on"]:
        said.append(("developed on", ""))
    return Text(", ").join(Text(text, style) for text, style in said)


def _summary(has: Listing, news: dict[str, Any]) -> Text:
    """One line: newest, last proven, how many came since; and when that was so, if it is not now."""
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
