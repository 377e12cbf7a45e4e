"""How long a drift takes, and how much memory: ``python benchmarks/drift/speed.py [--json]``.

Each line is a process of its own with a cache of its own. Machines are noisy: see the CPU seconds beside the wall's.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

PATCHKIT = [sys.executable, "-m", "patchkit"]
FIRST, LAST, NEW = "0.10.1.1", "0.20.2", "0.33.0"


def measured(name: str, target: float, home: str, *arguments: str) -> dict[str, object]:
    """One run: wall and CPU seconds, and the most memory that any run so far has held."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    environment = {**os.environ, "PATCHKIT_HOME": home}
    done = subprocess.run([*PATCHKIT, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - began
    if done.returncode not in (0, 1):
        sys.exit(done.stderr.decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    command = " ".join(("patchkit", *arguments))
    return {
        "what": name,
        "seconds": round(wall, 2),
        "cpu": round(cpu, 2),
        "target": target,
        "MB": round(after.ru_maxrss / 1000),
        "command": command,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as other:
        rows = [
            measured("the index and the last proven release, cold", 0, other, "drift", "--from", FIRST, "--vllm", LAST),
            measured("one new release, the index warm", 3, other, "drift", "--from", LAST, "--vllm", NEW),
            measured("the same again", 3, other, "drift", "--from", LAST, "--vllm", NEW),
            measured("the whole timeline, cold", 60, home, "drift", "--since", FIRST, "--vllm", NEW),
            measured("the whole timeline, warm", 60, home, "drift", "--since", FIRST, "--vllm", NEW),
        ]
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        figures = f"{row['seconds']:>8} s {row['cpu']:>8} s CPU {row['MB']:>5} MB"
        print(f"{row['what']:<45}{figures}  target {row['target'] or '-':<4} {row['command']}")


if __name__ == "__main__":
    main()
