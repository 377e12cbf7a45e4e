"""Several things at once on one rig, for a user who watches and may stop them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext

from patchkit.console import err
from patchkit.gates.rig import Rig

TICK = 0.5  # seconds between two looks


def at_once(rig: Rig, calls: Iterable[Callable[[], object]], progress: Callable[[], str]) -> None:
    """Make the calls in their order, as many at a time as the rig has workers; on a terminal ``progress`` is shown.

    The first exception of a call, or Ctrl-C, ends the rig's worker, and with it all other calls; then it is raised.
    """
    status = err.status("") if err.is_terminal else None
    with status or nullcontext(), ThreadPoolExecutor(rig.workers) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=TICK, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if status:
                    status.update(progress())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            rig.close()
            raise
