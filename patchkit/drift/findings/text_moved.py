"""Source text that the runtime changes does not stand where it is looked for, or stands there more than once."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding

SHOWN = 60


def find(case: Case) -> Iterator[Finding]:
    if not case.both or not case.touched("text"):
        return
    for anchor, count in case.new.anchors.items():
        if count != 1:
            said = "stands nowhere in it" if count == 0 else f"stands {count} times in it"
            yield case.finding(
                "text-moved", "loud", f"`{' '.join(anchor.split())[:SHOWN]}` {said}, and must stand once"
            )
