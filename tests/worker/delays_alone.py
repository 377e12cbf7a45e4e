"""Run inside an environment: the hooks of the worker's delays, under torch's own stream contexts, without a GPU.

What asks the device is replaced: which stream is the current one, whether it is captured, the sleep itself, events, and
the delay that a graph holds.
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
RUNTIME = """
import torch


def work(stream):
    with torch.cuda.stream(stream):
        pass


def record(stream, other=None):
    with torch.cuda.stream(stream):
        torch.cuda.Event().record(other)
"""


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
        self.recorded, self.delayed_graphs, self.in_graphs = [], [], []

    def set_stream(self, stream):
        self.current = stream

    def sleep(self, cycles):
        assert self.current not in self.captured, "a sleep would be captured into a graph"
        self.slept.append((self.current.cuda_stream, cycles))
        if self.waits:
            time.sleep(cycles / 1.5e9)

    def event(self):
        device = self

        class Event:
            def record(self, stream=None):
                device.recorded.append((stream or device.current).cuda_stream)

        return Event

    def captured_delay(self):
        device = self

        class CapturedDelay:
            def capture(self):
                assert device.current in device.captured
                device.delayed_graphs.append(device.current.cuda_stream)

            def set(self, seconds):
                device.in_graphs.append(seconds)

        return SimpleNamespace(CapturedDelay=CapturedDelay)

    @contextmanager
    def in_place(self):
        """torch asks this device."""
        torch.cuda.Event = self.event()
        sys.modules["patchkit_worker.captured_delay"] = self.captured_delay()
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

        device.in_graphs.clear()
        made_up.record(device.side)
        assert not device.delayed_graphs, "what is not captured needs no delay of its own"
        assert not device.in_graphs, "nor is it set where no graph has one"

        device.slept.clear()
        device.captured = (device.side,)
        with delays.during(3):
            for number in range(60):
                step(number)
        assert {handle for handle, _ in device.slept} == {7, 9}, "none while the stream is captured"
        assert [one["of_runtime"] for one in delays.report()] == [False, False]

        with torch.cuda.stream(device.side):
            torch.cuda.Event().record()
        assert not device.delayed_graphs, "none in the graphs of others"
        for repeat in (1, 4):
            device.recorded.clear(), device.delayed_graphs.clear(), device.in_graphs.clear()
            with delays.during(repeat):
                made_up.record(device.side)
                made_up.record(device.copy, device.side)
                for number in range(60):
                    step(number)
            assert device.recorded == [8, 8] and device.delayed_graphs == [8, 8], (
                device.recorded,
                device.delayed_graphs,
            )
            assert device.current is device.main
            assert device.in_graphs[0] == 0.0, "graphs of the pass before are late no more"
            if repeat == 1:
                assert device.in_graphs == [0.0], (
                    "a graph that is captured in a pass without delays has one, of no length"
                )
        late = device.in_graphs[1:]
        assert len(late) == 60 and 5 < sum(seconds > 0 for seconds in late) < 60, late
        *_, own = delays.report()
        assert own["delays"] == sum(seconds > 0 for seconds in late), own
        assert not own["of_runtime"], "it does not stand for a stream of the runtime that was late"
        torch.cuda.Event().record(device.side)
        assert device.current is device.main, "the stream that is recorded on does not become the current one"
        device.in_graphs.clear()
        with delays.during(5):
            for number in range(60):
                step(number)
        assert device.in_graphs == [0.0], "this pass has captured none"

        device.waits = True
        try:
            delays_module.Delays(folder)
            raise AssertionError("a host that waits for what it launches must be refused")
        except RuntimeError as refused:
            assert "the host waits for what it launches" in str(refused)


main()
