"""``Applies-To`` without the releases that are known not to need a patch."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from patchkit.series.patch import holds_for

UPPER, LOWER = ("<", "<="), (">", ">=")


def narrowed(taken: SpecifierSet, needs: Mapping[Version, bool], developed_on: Version) -> str | None:
    """``Applies-To`` without the releases that do not need the patch; None if it takes none of these.

    It leaves out no more than what is known: a bound where all that is known on that side needs no patch, ``!=`` for a
    release between two that need it. Where no other release is known, a patch is taken to have become unneeded, unless
    the release is not later than the one that the runtime was developed on.

    Args:
        needs: by release, whether it needs the patch.

    Returns:
        ``vllm >=0.11.0,<0.28.0``; empty if no release is left, so that the patch can go.
    """
    spare = sorted(release for release, needed in needs.items() if not needed and holds_for(taken, release))
    if not spare:
        return None
    needing = [release for release, needed in needs.items() if needed]
    first, last = min(needing, default=None), max(needing, default=None)
    late = [one for one in spare if (one > developed_on if last is None else one > last)]
    early = [one for one in spare if (one <= developed_on if first is None else one < first)]
    between = [one for one in spare if one not in late and one not in early]
    bounds = [Specifier(f"!={one}") for one in between]
    bounds += [Specifier(f"<{late[0]}")] if late else []
    bounds += [Specifier(f">{early[-1]}")] if early else []
    kept = [one for one in taken if not any(_weaker(one, bound) for bound in bounds)]
    return _written([*kept, *bounds])


def _weaker(one: Specifier, bound: Specifier) -> bool:
    """Whether a bound says nothing beside a tighter one on the same side."""
    sides = [side for side in (UPPER, LOWER) if one.operator in side and bound.operator in side]
    if not sides:
        return False
    before, after = Version(one.version), Version(bound.version)
    return before >= after if sides[0] is UPPER else before <= after


def _written(found: list[Specifier]) -> str:
    low = [Version(one.version) for one in found if one.operator in LOWER]
    high = [Version(one.version) for one in found if one.operator in UPPER]
    if low and high and max(low) >= min(high):
        return ""
    order = {**dict.fromkeys(LOWER, 0), **dict.fromkeys(UPPER, 2)}
    words = sorted(found, key=lambda one: (order.get(one.operator, 1), Version(one.version.removesuffix(".*"))))
    return f"vllm {','.join(map(str, words))}"
