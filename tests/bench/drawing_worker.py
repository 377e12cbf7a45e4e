"""Speaks the worker protocol without vLLM: a sample's text depends on its problem and its seed, on nothing else.

A draw may say in its ``runtime`` how it ends: ``{"die": N}`` ends the worker after N samples, ``{"murder": N}`` its
parent, ``{"hang": N}`` says no more. ``{"pause": S}`` is the seconds that a sample takes.
"""

import hashlib
import json
import os
import signal
import sys
import time


def send(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def come_to(end, counted):
    if counted == end.get("murder"):
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    if counted == end.get("die"):
        print("libtorch.so: cannot allocate memory", file=sys.stderr, flush=True)
        os._exit(3)
    if counted == end.get("hang"):
        time.sleep(600)
    time.sleep(end.get("pause", 0))


def draw(run, spec):
    counted = 0
    send("loaded", run=run, seconds=0.0, engine={"seen": os.environ.get("CUDA_VISIBLE_DEVICES")})
    for problem in spec["problems"]:
        for number in problem["samples"]:
            come_to(spec["runtime"], counted)
            seed = problem["seed"] + number
            text = hashlib.sha256(f"{problem['plain']} {seed}".encode()).hexdigest()
            one = {"problem": problem["id"], "sample": number, "seed": seed, "text": f"{text} {{ö\n"}
            send("sampled", run=run, tokens=3, finish="stop", seconds=0.0, **one)
            counted += 1
    send("drawn", run=run, seconds=0.5, tokens=3 * counted, steps=counted, counters=None)
    send("exit", run=run, code=0, seconds=0.0, last_words="")


send("ready", vllm=os.environ.get("DRAWING_VLLM", "0.20.0"), torch="2.11.0", python="3.11.7", transformers="5.0")
for line in sys.stdin:
    request = json.loads(line)
    if "draw" in request:
        send("started", run=request["run"], pid=os.getpid())
        draw(request["run"], request["draw"])
