"""``patchkit init``: a new runtime, and what to do with it."""

from __future__ import annotations

from pathlib import Path

from patchkit.environments.lock import locked_releases
from patchkit.release import release_name
from patchkit.series.new_runtime import find_patches, new_runtime
from patchkit.verbs.latest import LATEST


def init(name: str, release: str | None) -> int:
    """Make ``patches/<name>`` and say what to do with it.

    Raises:
        PatchkitError: the name does not suit or is taken, or there is no project; nothing is written then.
    """
    release = release_name(release) if release and release != LATEST else locked_releases("cpu")[-1]
    folder = new_runtime(find_patches(Path.cwd()), name, release)
    others = [one.parent.name for one in folder.parent.glob("*/runtime.yaml") if one.parent != folder]
    named = f" --runtime {name}" if others else ""
    package = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"wrote {package}: a runtime with a hook, a patch for it, and a gate that catches its absence")
    steps = {
        f"patchkit gate --vllm {release}{named}": "every gate, on the CPU",
        f"patchkit knockout --vllm {release}{named}": "without the patch, its gate is red",
        f"patchkit surface --check{named}": "what it touches of vLLM is what runtime.yaml declares",
    }
    print("see that all is in order, then make it yours, beginning with upstream/:")
    for command, what in steps.items():
        print(f"  {command:{max(map(len, steps))}}  # {what}")
    return 0
