"""A tick, step by step: ask, read the drift of every new release, lay the series out, run the gates."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from packaging.version import Version

from patchkit.drift.index import Release
from patchkit.drift.scan import Scanner
from patchkit.drift.wheel import Published
from patchkit.errors import PatchkitError
from patchkit.plural import counted
from patchkit.series.worktree import patched_tree
from patchkit.watch.asking import News, ask, check_locked
from patchkit.watch.gating import Gates
from patchkit.watch.keeping import Keeper
from patchkit.watch.tick import Newcomer, Tick

Wanted = Literal["newest", "all", "none"]


@dataclass
class Judge:
    """Fills a tick; after every step the report is saved.

    Attributes:
        wanted: which of the new releases are gated: the newest that can be, all of them, or none.
    """

    tick: Tick
    keeper: Keeper
    scanner: Scanner
    gates: Gates
    wanted: Wanted
    _refusals: dict[tuple[str, ...], str] = field(default_factory=dict)

    def judge(self) -> News:
        """Everything; what was asked of the index is returned.

        Raises:
            PatchkitError: the index cannot be asked, or a release cannot be read.
        """
        self.keeper.doing("asking the package index")
        news = ask(self.scanner.manifest)
        if self.gates.places.builds:
            check_locked(news.listing)
        self.tick.asked, self.tick.last_proven = news.listing.asked.isoformat(), news.last.text
        self.tick.news = [Newcomer(release.text, _day(release)) for release in news.new]
        if news.new:
            self._read(news)
            self._lay_out()
            self._gate(news)
        return news

    def _read(self, news: News) -> None:
        """What moved, release by release; a break that no patch mends is left over for all that follow."""
        sources = [Published(release) for release in (news.last, *news.new)]
        drifts = self.scanner.drifts(sources, lambda release: self.keeper.doing(f"reading vLLM {release}"))
        left = 0
        for newcomer, drift in zip(self.tick.news, drifts, strict=True):
            newcomer.drift = drift
            newcomer.left_over = left = left + len(drift.unpatched)

    def _lay_out(self) -> None:
        self.keeper.doing("laying the series out")
        for newcomer in self.tick.news:
            newcomer.refusal = self._refusal(newcomer.release)
            if newcomer.refusal:
                newcomer.outcome, newcomer.why = "refused", newcomer.refusal

    def _refusal(self, release: str) -> str:
        """Why the series does not go on for a release; tried once for each choice of patches."""
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
        for newcomer, release in zip(self.tick.news, news.new, strict=True):
            if release.text in chosen and not self.tick.dry:
                self.keeper.doing(f"running the gates on vLLM {release.text}")
                self.gates.prove(newcomer, release)
            elif not newcomer.refusal:
                newcomer.outcome, newcomer.why = "unproven", self._why_not(release, chosen)
            self._doubt(newcomer)

    def _chosen(self, releases: Sequence[Release]) -> list[str]:
        """Which releases are gated: of those that can be."""
        refused = {one.release for one in self.tick.news if one.refusal}
        able = [one.text for one in releases if one.text not in refused and not self.gates.places.lacking(one)]
        return {"newest": able[-1:], "all": able, "none": []}[self.wanted]

    def _why_not(self, release: Release, chosen: Sequence[str]) -> str:
        if self.wanted == "none":
            return "not gated: none was to be (--gate none)"
        lacking = self.gates.places.lacking(release)
        if not lacking and release.text not in chosen:
            return f"not gated: only the newest that can be is ({chosen[-1]}); see --gate all"
        return lacking or "not gated: this is a dry run"

    @staticmethod
    def _doubt(newcomer: Newcomer) -> None:
        """Gates that are green see one device and a few models: what the sources say may lie outside."""
        if newcomer.outcome == "proven" and newcomer.left_over:
            left = counted(newcomer.left_over, "unpatched break")
            newcomer.outcome = "doubtful"
            newcomer.why = f"{newcomer.why}, but {left} since the last proven release: look whether a gate sees it"


def _day(release: Release) -> str | None:
    return release.uploaded.date().isoformat() if release.uploaded else None
