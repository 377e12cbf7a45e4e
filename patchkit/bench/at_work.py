"""Was the runtime at work in a draw? Good text is no sign of life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from patchkit.bench.shards import DrawError
from patchkit.gates.events import Drawn, Progress


def check_at_work(counters: Mapping[str, float | None], said: Progress | Drawn, rows: int, beta: float | None) -> None:
    """Hold the runtime's counters against what the worker saw, in one process, from its start.

    It must have intervened on every decode row. One row a sample may be more or less: with asynchronous scheduling a
    step is on its way. This is asked of each process by itself, so that what is lost in one does not hide among the
    others.

    Args:
        counters: the runtime's.
        said: what the worker counted.
        rows: samples that have a token.
        beta: the strength of the intervention; None if it is not known.

    Raises:
        DrawError: it was not at work, in one line.
    """
    found, expected = counters.get("intervened_rows") or 0, said.decode_rows
    seen = expected > (0 if isinstance(said, Drawn) else rows)  # decode rows that no step under way explains
    wrong = []
    if not expected and said.tokens > 2 * rows:
        wrong.append(f"no decode row was seen in {said.tokens:,} tokens")
    if abs(found - expected) > rows or (seen and not found):
        wrong.append(f"it intervened on {found:,.0f} of {expected:,} decode rows")
    if counters.get("unmapped_rows"):
        wrong.append(f"{counters['unmapped_rows']:,.0f} rows belonged to nobody")
    if beta and seen and not counters.get("moved_tokens"):
        wrong.append("it moved no logit")
    if seen and not counters.get("loss_finite"):
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
