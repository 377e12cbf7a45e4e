"""Run inside an environment: the hooks of the worker's delays, under torch's own stream contexts, without a GPU.

What asks the device is replaced: which stream is the current one, whether it is captured, and the sleep itself.
Usage: ``python delays_alone.py``; silent and 0 if each assertion holds.
"""

import importlib.util
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch

WORKER = Path(__file__).parents[2] / "patchkit" / "worker"
RUNTIME = "import torch\n\n\ndef work(stream):\n    with torch.cuda.stream(stream):\n        pass\n"


def load_worker():
    """The worker's package, as ``__main__.py`` makes it."""
    spec = importlib.util.spec_from_file_location(
        "patchkit_worker", WORKER / "__init__.py", submodule_search_locations=[str(WORKER)]
    )
    sys.modules["patchkit_worker"] = importlib.util.module_from_spec(spec)
    from patchkit_worker import delays

    return delays


class Device:
    """A device with streams, which notes on which of them it sleeps."""

    def __init__(self):
        self.main, self.side, self.copy = (SimpleNamespace(cuda_stream=handle, device=0) for handle in (7, 8, 9))
        self.current, self.captured, self.slept, self.waits = self.main, (), [], False

    def set_stream(self, stream):
        self.current = stream

    def sleep(self, cycles):
        assert self.current not in self.captured, "a sleep would be captured into a graph"
        self.slept.append((self.current.cuda_stream, cycles))
        if self.waits:
            time.sleep(cycles / 1.5e9)

    @contextmanager
    def in_place(self):
        """torch asks this device."""
        torch.cuda.set_stream, torch.cuda._sleep = self.set_stream, self.sleep
        torch.cuda.synchronize = lambda: None
        torch.cuda.current_stream = lambda device=None: self.current
        torch.cuda.is_current_stream_capturing = lambda: self.current in self.captured
        torch.cuda._get_device_index = lambda *given: 0
        yield self


def runtime_in(folder):
    """Code of a runtime, in a tree of its own."""
    Path(folder, "made_up.py").write_text(RUNTIME)
    sys.path.insert(0, folder)
    import made_up

    return made_up


def main():
    delays_module = load_worker()
    owner, steps = delays_module.Adapter.owner, []
    owner.execute_model = lambda runner, scheduled: steps.append(scheduled)
    with tempfile.TemporaryDirectory() as folder, Device().in_place() as device:
        made_up, delays = runtime_in(folder), delays_module.Delays(folder)
        device.slept.clear()

        def step(number):
            owner.execute_model(None, number)
            made_up.work(device.side)  # entered by the runtime
            with torch.cuda.stream(device.copy):  # by another
                pass
            assert device.current is device.main

        for repeat in range(2):
            with delays.during(repeat):
                for number in range(5):
                    step(number)
            assert delays.report() is None
        assert len(steps) == 10 and not device.slept, "the first repeats have no delays"

        plain = torch.cuda.set_stream
        with delays.during(2):
            for number in range(60):
                step(number)
        assert torch.cuda.set_stream == plain, "the hook is taken away"
        assert len(steps) == 70
        report = delays.report()
        assert [(one["stream"], one["of_runtime"]) for one in report] == [(0, False), (1, True), (2, False)], report
        counts = {handle: sum(slept == handle for slept, _ in device.slept) for handle in (7, 8, 9)}
        assert [one["delays"] for one in report] == list(counts.values()), "what is counted is what was done"
        assert all(count > 5 for count in counts.values()), counts

        device.slept.clear()
        device.captured = (device.side,)
        with delays.during(3):
            for number in range(60):
                step(number)
        assert {handle for handle, _ in device.slept} == {7, 9}, "none while the stream is captured"
        assert [one["of_runtime"] for one in delays.report()] == [False, False]

        device.waits = True
        try:
            delays_module.Delays(folder)
            raise AssertionError("a host that waits for what it launches must be refused")
        except RuntimeError as refused:
            assert "the host waits for what it launches" in str(refused)


main()
