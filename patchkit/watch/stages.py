"""The steps of a tick: ask the index, read the drift of every new release, lay out the series, run the gates."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packaging.version import Version

from patchkit.drift.index import Release
from patchkit.drift.published_source import PublishedSource
from patchkit.drift.scan import Scanner
from patchkit.errors import PatchkitError
from patchkit.plural import counted
from patchkit.series.worktree import patched_tree
from patchkit.watch.gating import Gates
from patchkit.watch.news import News, check_locked, fetch_news
from patchkit.watch.report_files import ReportFiles
from patchkit.watch.tick import NewRelease, Tick

Wanted = Literal["newest", "all", "none"]


@dataclass
class Judge:
    """Fills a tick; after every step the report is saved.

    Attributes:
        wanted: which of the new releases are gated: the newest that can be, all of them, or none.
    """

    tick: Tick
    files: ReportFiles
    scanner: Scanner
    gates: Gates
    wanted: Wanted
    _refusals: dict[tuple[str, ...], str] = field(default_factory=dict)

    def judge(self) -> News:
        """Run all steps; returns the news from the index.

        Raises:
            PatchkitError: the index cannot be asked, or a release cannot be read.
        """
        self.files.doing("asking the package index")
        news = fetch_news(self.scanner.manifest)
        if self.gates.places.builds:
            check_locked(news.listing)
        self.tick.asked, self.tick.last_proven = news.listing.asked.isoformat(), news.last.text
        days = [one.uploaded.date().isoformat() if one.uploaded else None for one in news.new]
        self.tick.news = [NewRelease(release.text, day) for release, day in zip(news.new, days, strict=True)]
        if news.new:
            self._read(news)
            self._lay_out()
            self._gate(news)
        return news

    def _read(self, news: News) -> None:
        """What changed, release by release; a break that no patch fixes counts for all later releases too."""
        sources = [PublishedSource(release) for release in (news.last, *news.new)]
        drifts = self.scanner.drifts(sources, lambda release: self.files.doing(f"reading vLLM {release}"))
        left = 0
        for new_release, drift in zip(self.tick.news, drifts, strict=True):
            new_release.drift = drift
            new_release.left_over = left = left + len(drift.unpatched)

    def _lay_out(self) -> None:
        self.files.doing("laying the series out")
        for new_release in self.tick.news:
            new_release.refusal = self._refusal(new_release.release)
            if new_release.refusal:
                new_release.outcome, new_release.why = "refused", new_release.refusal

    def _refusal(self, release: str) -> str:
        """Why the series does not apply for a release; tried once for each set of patches."""
        patches = [patch for patch in self.scanner.series.patches if patch.needed_on(Version(release))]
        names = tuple(patch.name for patch in patches)
        if names not in self._refusals:
            self._refusals[names] = self._tried(release)
        return self._refusals[names]

    def _tried(self, release: str) -> str:
        with tempfile.TemporaryDirectory(prefix="patchkit-") as folder:
            try:
                patched_tree(self.scanner.project, self.scanner.manifest.name, release, into=Path(folder, "tree"))
            except PatchkitError as error:
                return error.what
        return ""

    def _gate(self, news: News) -> None:
        chosen = self._chosen(news.new)
        for new_release, release in zip(self.tick.news, news.new, strict=True):
            if release.text in chosen and not self.tick.dry:
                self.files.doing(f"running the gates on vLLM {release.text}")
                self.gates.prove(new_release, release)
            elif not new_release.refusal:
                new_release.outcome, new_release.why = "unproven", self._why_not(new_release, release, chosen)
            self._doubt(new_release)

    def _chosen(self, releases: Sequence[Release]) -> list[str]:
        """Which releases are gated: of those that can be."""
        refused = {one.release for one in self.tick.news if one.refusal}
        able = [one.text for one in releases if one.text not in refused and not self.gates.places.lacking(one)]
        return {"newest": able[-1:], "all": able, "none": []}[self.wanted]

    def _why_not(self, new_release: NewRelease, release: Release, chosen: Sequence[str]) -> str:
        if self.wanted == "none":
            return "not gated: none was to be (--gate none)"
        lacking = self.gates.places.lacking(release)
        if not lacking and release.text not in chosen:
            return f"not gated: only the newest that can be is ({chosen[-1]}); see --gate all"
        return f"{lacking}; {_static(new_release)}" if lacking else "not gated: this is a dry run"

    @staticmethod
    def _doubt(new_release: NewRelease) -> None:
        """Green gates cover one device and a few models: an unpatched break may be outside of that."""
        if new_release.outcome == "proven" and new_release.left_over:
            left = counted(new_release.left_over, "unpatched break")
            new_release.outcome = "doubtful"
            new_release.why = (
                f"{new_release.why}, but {left} since the last proven release: look whether a gate sees it"
            )


def _static(new_release: NewRelease) -> str:
    """What the sources alone say of a release whose gates did not run."""
    left = counted(new_release.left_over, "unpatched break") if new_release.left_over else "no unpatched break"
    return f"the sources show {left} since the last proven release"
