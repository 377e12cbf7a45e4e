"""The verb ``releases``: what the package index has, what is proven, what is new."""

from __future__ import annotations

import json
from typing import Any

from packaging.version import Version

from patchkit.drift.index import DISTRIBUTIONS, Listing, Release, listing, timeline
from patchkit.environments.lock import locked_releases
from patchkit.project import find_project
from patchkit.report.releases import show
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
        asked = {"asked": has.asked.isoformat(), "offline": has.offline, "unseen": list(has.unseen)}
        document = {"runtime": runtime, "developed_on": manifest.developed_on, **asked, **news, "releases": rows}
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    show(has, rows, news)
    return 0


def _recent(release: Release, manifest: Manifest) -> bool:
    return not release.prerelease and release.version >= Version(manifest.developed_on)


def _row(release: Release, manifest: Manifest) -> dict[str, Any]:
    """One release as a JSON object."""
    last = _last_proven(manifest)
    uploaded = release.uploaded
    return {
        "release": release.text,
        "uploaded": uploaded.date().isoformat() if uploaded else None,
        "distributions": list(release.distributions),
        "wheel": any(file.fits for file in _available(release, MAIN)),
        "cpu_wheel": any(file.fits for file in _available(release, CPU)),
        "source": any(not file.wheel for file in _available(release, MAIN)),
        "prerelease": release.prerelease,
        "yanked": release.yanked,
        "developed_on": release.version == Version(manifest.developed_on),
        "proven": release.version in map(Version, manifest.proven),
        "proofs": [
            {"device": one.device, "runner": one.runner, "gpu": one.gpu, "green": one.green, "evidence": one.evidence}
            for one in manifest.table.proofs
            if release.version == Version(one.release)
        ],
        "locked": release.version in map(Version, locked_releases("cpu")),
        "new": _is_final(release) and (last is None or release.version > last),
    }


def _available(release: Release, distribution: str) -> list[Any]:
    return [file for file in release.files if file.distribution == distribution and file.yanked is None]


def _is_final(release: Release) -> bool:
    return not release.prerelease and bool(_available(release, MAIN))


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
