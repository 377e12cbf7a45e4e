"""Ctrl-C while a server takes its time: the run ends at once, and what was drawn is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from made_server import MadeServer, serving


def test_ctrl_c_waits_for_no_answer(tmp_path: Path) -> None:
    with serving(MadeServer(slow=20.0)) as server:
        words = ["--url", server.url, "--task", "arithmetic-1", "--first", "3", "--n", "2", "--modes", "baseline"]
        process = subprocess.Popen(
            [sys.executable, "-m", "patchkit", "bench", "accuracy", *words, "--evidence", str(tmp_path / "e.json")],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until = time.monotonic() + 60
        while server.under_way == 0:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 130
        assert time.monotonic() - began < 15 and process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert not (tmp_path / "e.json").exists()
