"""Speaks the worker protocol without vLLM.

What a run does is said in its part's ``engine: {act: …}``, or there under the name of the tree's folder.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

SHAPE = {"requests": 2, "decode_rows": 2, "prefill_tokens": 0, "recomputed_tokens": 0, "decode_rows_before": 2}
RUNTIME = {"decode_rows": 2, "seen_rows": 2, "hits": 1, "candidates": 9, "lost_rows": 0, "score": 0.5}
SAMPLING = {"checked": 2, "greedy": 1, "drawn": 1, "lone": 0, "unlike": None}
SEEN = {"shape": SHAPE, "runtime": RUNTIME, "sampling": SAMPLING, "observed": {"rows": 2}, "poisoned": True}
lock = threading.Lock()


def send(event, **fields):
    with lock:
        print(json.dumps({"event": event, **fields}), flush=True)


def steps(run, number):
    for step in range(number):
        send("step", run=run, repeat=0, call=0, step=step, **SEEN, **{"pass": "patched"})


def result(run, number):
    counters = {name: value * number for name, value in RUNTIME.items()}
    outputs = [{"prompt": 0, "sample": 0, "token_ids": [1, 2], "finish": "length"}]
    calls = [{"seconds": 0.1, "generated_tokens": 2, "outputs": outputs}]
    done = {"pass": "patched", "repeat": 0, "seconds": 0.1, "generated_tokens": 2, "counters": counters, "calls": calls}
    send("result", run=run, load_seconds=0.1, passes=[done])


def good(run):
    steps(run, 3)
    result(run, 3)
    send("exit", run=run, code=0, seconds=0.1, last_words="")


def echo(run):
    """What the request held, as the answer's text."""
    steps(run, 1)
    sent = json.dumps({name: requests[run][name] for name in ("part", "defaults", "counters", "probe", "start")})
    outputs = [{"prompt": 0, "sample": 0, "token_ids": [1], "finish": "length", "text": sent}]
    calls = [{"seconds": 0.1, "generated_tokens": 1, "outputs": outputs}]
    done = {"pass": "patched", "repeat": 0, "seconds": 0.1, "generated_tokens": 1, "calls": calls}
    send("result", run=run, load_seconds=0.1, passes=[done])
    send("exit", run=run, code=0, seconds=0.1, last_words="")


def on_gpu(run):
    """Which GPU it was given, as the answer's text."""
    time.sleep(0.2)
    steps(run, 1)
    outputs = [{"prompt": 0, "sample": 0, "token_ids": [1], "finish": "length", "text": requests[run].get("gpu", "")}]
    calls = [{"seconds": 0.1, "generated_tokens": 1, "outputs": outputs}]
    done = {"pass": "patched", "repeat": 0, "seconds": 0.1, "generated_tokens": 1, "calls": calls}
    send("result", run=run, load_seconds=0.1, passes=[done])
    send("exit", run=run, code=0, seconds=0.1, last_words="")


def slow(run):
    time.sleep(0.4)
    good(run)


def error(run):
    steps(run, 2)
    where = {"where": "made_up/taps.py:61 in gather", "pass": "patched", "call": 0, "step": 2, "shape": SHAPE}
    send("error", run=run, type="IndexError", message="index 7 is out of bounds", traceback="Traceback …", **where)
    send("exit", run=run, code=1, seconds=0.1, last_words="")


def killed(run):
    steps(run, 1)
    send("exit", run=run, signal="SIGKILL", seconds=0.1, last_words="Out of memory")


def garbage(run):
    steps(run, 1)
    with lock:
        print("INFO: vLLM likes to \x1b[31mprint\x1b[0m {things", flush=True)
    good(run)


def almost(run):
    send("step", run=run, step="many", shape=SHAPE, **{"pass": "patched"})
    good(run)


def nan(run):
    step = {"repeat": 0, "call": 0, "step": 0, "shape": SHAPE, "runtime": {**RUNTIME, "score": float("nan")}}
    send("step", run=run, **step, **{"pass": "patched"})
    result(run, 1)
    send("exit", run=run, code=0, seconds=0.1, last_words="")


def hang(run):
    steps(run, 1)


def steady(run):
    """Busy for two seconds, and never silent for long."""
    for _ in range(8):
        steps(run, 1)
        time.sleep(0.25)
    result(run, 1)
    send("exit", run=run, code=0, seconds=2.0, last_words="")


def endless(run):
    while True:
        steps(run, 1)
        time.sleep(0.1)


def deaf(run):
    child = subprocess.Popen(["sleep", "600"])
    send("started", run=run, pid=child.pid)
    steps(run, 1)


def die(run):
    steps(run, 1)
    print("libtorch.so: cannot allocate memory", file=sys.stderr, flush=True)
    os._exit(3)


def measure(run):
    """An engine that is measured: ``act`` says how it goes wrong, with the runtime or (``plain-…``) without it."""
    spec = requests[run]["measure"]
    act = spec["engine"].get("act", "good")
    wrong = act if spec["patched"] else act.partition("plain-")[2]
    if wrong == "refuse":
        send("error", run=run, type="RuntimeError", message="made_up: needs enforce_eager=True")
        send("exit", run=run, code=1, seconds=0.1, last_words="")
        return
    eager = spec["engine"]["enforce_eager"]
    send("loaded", run=run, seconds=0.1, engine={"enforce_eager": eager}, runners=["Runner"])
    gone = False
    while (order := orders[run].get())["do"] != "end":
        gone |= spec["patched"] and order.get("uninstalled", False)
        breaks = {"break": order["seed"] == 3, "unprofiled": order.get("profile"), "gone-break": gone}
        if breaks.get(wrong):
            send("error", run=run, type="IndexError", message="index 7 is out of bounds")
            send("exit", run=run, code=1, seconds=0.1, last_words="")
            return
        there = spec["patched"] and (not gone or wrong == "gone-stays")
        done = measured(order, there, eager, wrong.removeprefix("gone-" if gone else "-"))
        if gone and not there:
            counted = {"gone-silent": None, "gone-empty": {}}.get(wrong, {"hits": 127})
            done |= {"seconds": 1.1 * done["seconds"], "before": counted, "after": counted}
        send("measured", run=run, **done)
    send("exit", run=run, code=0, seconds=0.1, last_words="")


def measured(order, patched, eager, wrong):
    """One run: graphs are twice as fast, the runtime takes a quarter longer, and both are slower from pair to pair."""
    samples = order["prompts"] * order["n"]
    rows, steps = samples * (order["tokens"] - 1), order["tokens"] - 1
    counted = {"decode_rows": rows, "seen_rows": rows, "hits": steps, "candidates": 9, "lost_rows": 0, "score": 0.5}
    counted |= {"dead": {"hits": 0}, "nan": {"score": float("nan")}}.get(wrong, {})
    profile = {"device": 2.0, "host": 9.0, "rows": [{"name": "gemm", "where": "device", "microseconds": 2, "calls": 1}]}
    return {
        "seconds": (1 + order["seed"] / 100) * (2 if eager else 1) * (1.25 if patched else 1),
        "cpu_seconds": 2.0 if patched else 1.0,
        "tokens": samples * order["tokens"] - (wrong == "short"),
        "steps": steps + 1,
        "decode_rows": rows,
        "decode_steps": steps,
        "memory": {"used": 1000, "peak": 3000 if patched else 2000},
        "before": dict.fromkeys(counted, 0) if patched else None,
        "after": counted if patched else None,
        "profile": profile if order.get("profile") else None,
    }


def cancel(run):
    if acts.get(run) != "deaf":
        send("exit", run=run, signal="SIGKILL", seconds=0.1, last_words="")


acts, requests, orders = {}, {}, {}
if os.environ.get("FAKE_START") == "die":
    sys.exit("ImportError: libcudart.so.13: cannot open shared object file")
if os.environ.get("FAKE_START") == "hang":
    time.sleep(600)
print("a greeting", flush=True) if os.environ.get("FAKE_START") == "garbage" else None
send("ready", vllm="0.20.0", torch="2.11.0", python="3.11.7", transformers="5.0", device="cpu", seconds=0.1)
for line in sys.stdin:
    request = json.loads(line)
    if "cancel" in request:
        cancel(request["cancel"])
        continue
    if "tell" in request:
        orders[request["tell"]].put(request["order"])
        continue
    if "measure" in request:
        orders[request["run"]] = queue.SimpleQueue()
        request["part"] = {"engine": {"act": "measure"}}
    engine = request["part"].get("engine", {})
    act = engine.get(Path(request["tree"] or ".").name, engine.get("act", "good"))
    acts[request["run"]], requests[request["run"]] = act, request
    if act != "deaf":
        send("started", run=request["run"], pid=0)
    threading.Thread(target=globals()[act], args=(request["run"],), daemon=True).start()
