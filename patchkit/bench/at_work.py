"""Was the runtime at work in a draw? Good text is no sign of life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from patchkit.bench.shards import DrawError


def check_at_work(counters: Mapping[str, float | None], samples: int, tokens: int, beta: float | None) -> None:
    """Hold the runtime's counters against the tokens that were drawn.

    Every token but a sample's first is drawn from a decode row, and the runtime must have intervened on each. One row a
    sample may be more or less: asynchronous scheduling runs one step ahead, and a preempted sample goes on from a
    prefill. So this is asked of each process by itself, and often: what is lost in one must not hide among the others.

    Args:
        counters: of one process, from its start.
        samples: that have a token.
        tokens: of all of them, finished or not.
        beta: the strength of the intervention; None if it is not known.

    Raises:
        DrawError: it was not at work, in one line.
    """
    rows, expected = counters.get("intervened_rows") or 0, tokens - samples
    wrong = []
    if abs(rows - expected) > samples or (expected and not rows):
        wrong.append(f"it intervened on {rows:,.0f} of {expected:,} decode rows")
    if counters.get("unmapped_rows"):
        wrong.append(f"{counters['unmapped_rows']:,.0f} rows belonged to nobody")
    if beta and expected and not counters.get("moved_tokens"):
        wrong.append("it moved no logit")
    if expected and not counters.get("loss_finite"):
        wrong.append("its loss is not finite")
    if wrong:
        raise DrawError(f"the runtime was not at work: {', '.join(wrong)}")


def merge_counters(parts: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Counters of several processes: counts add up, a loss is the last one's, and finite only if all of them are."""
    merged: dict[str, float | None] = {}
    for counters in parts:
        for name, value in counters.items():
            known = merged.get(name)
            if name == "loss_finite":
                merged[name] = min(1.0 if known is None else known, float(value or 0))
            elif value is None:
                merged.setdefault(name, None)
            elif known is None or name.startswith("loss"):
                merged[name] = float(value)
            else:
                merged[name] = known + value
    return merged
