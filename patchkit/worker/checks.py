"""Runs a runtime's own checks in the forked child: functions that make engines, install, and raise if they fail."""

import gc
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from patchkit_worker.channel import Channel
from patchkit_worker.compiled import allow_compilation
from patchkit_worker.engine import is_compiled, make_engine
from patchkit_worker.probe import PACKAGE, load_package
from patchkit_worker.prompts import FIRST_ORDINARY_TOKEN
from patchkit_worker.runners import seen
from patchkit_worker.runtime import describe, install
from patchkit_worker.wanted import WANTED
from vllm import LLM


class Skipped(Exception):  # noqa: N818 - not an error
    """The release lacks what a check is about; the message says what."""


class CheckContext:
    """The engines, settings and prompts that a check works with.

    Attributes:
        model: folder or hub id of the part's model.
        device: ``cpu`` or ``cuda``.
        runner: ``v1`` or ``v2``, vLLM's model runner.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._engines: dict[int, LLM] = {}
        self._installed: list[Any] = []
        self.model: str = request["model"]
        self.device: str = request["device"]
        self.runner = WANTED

    @property
    def engine_settings(self) -> dict[str, Any]:
        """Keyword arguments of ``vllm.LLM`` that the part asks for."""
        return dict(self._request["part"].get("engine") or {})

    def install(self, **settings: Any) -> Any:
        """Install the runtime, with ``settings`` on top of its defaults and the part's; uninstalled after the check."""
        on_top = {**(self._request["part"].get("runtime") or [{}])[0], **settings}
        self._installed.append(install(self._request, on_top))
        return self._installed[-1]

    def make_engine(self, **settings: Any) -> LLM:
        """A new engine, with ``settings`` on top of the part's."""
        given = {**self.engine_settings, **settings}
        if is_compiled(given):
            allow_compilation()
        return make_engine(self.model, self.device, given)

    def engine(self, number: int = 0) -> LLM:
        """Engine ``number`` with the part's settings, made once and shared by checks that leave it unchanged."""
        if number not in self._engines:
            self._engines[number] = self.make_engine()
        return self._engines[number]

    def prompts(self, count: int, tokens: int = 5) -> list[dict[str, list[int]]]:
        """So many prompts, all different, as ``LLM.generate`` takes them."""
        return [
            {"prompt_token_ids": [FIRST_ORDINARY_TOKEN + 1 + number + at for at in range(tokens)]}
            for number in range(count)
        ]

    @staticmethod
    def skip(why: str) -> None:
        """Skip the check: the release lacks what it is about."""
        raise Skipped(why)

    def tidy(self) -> None:
        """After a check: no runtime is installed, and no request is left in an engine that others use."""
        for runtime in self._installed:
            with suppress(Exception):  # if it cannot be uninstalled, the next install says so
                runtime.uninstall()
        self._installed.clear()
        for llm in self._engines.values():
            with suppress(Exception):
                llm.llm_engine.abort_request(list(llm.llm_engine.output_processor.request_states))
        gc.collect()


def run_checks(request: dict[str, Any], channel: Channel) -> int:
    """Run the checks of a part and send their results; returns the exit code."""
    began = time.monotonic()
    try:
        load_package(request["gates"])
        checks = importlib.import_module(f"{PACKAGE}.{request['part']['checks']}").checks
        context = CheckContext(request)
        loaded = round(time.monotonic() - began, 3)
        done = [run_check(check, context) for check in checks]
    except Exception as error:  # the runtime's code; the caller learns how it died
        channel.send("error", run=request["run"], **describe(error, request.get("gates")))
        return 1
    channel.send("result", run=request["run"], passes=[], checks=done, load_seconds=loaded, runners=seen())
    return 0


def run_check(check: Callable[[CheckContext], None], context: CheckContext) -> dict[str, Any]:
    """One check: ``held`` is null where it was skipped."""
    print(f"check {check.__name__}", file=sys.stderr, flush=True)  # among the last words, should it never end
    began = time.monotonic()
    held, reason = True, ""
    try:
        check(context)
    except Skipped as skipped:
        held, reason = None, str(skipped)
    except Exception as error:
        held, reason = False, " ".join(f"{error_line(error)}".split())
        traceback.print_exc()
    finally:
        context.tidy()
    return {"name": check.__name__, "held": held, "reason": reason, "seconds": round(time.monotonic() - began, 3)}


def error_line(error: Exception) -> str:
    """An error's message in one line, with its place unless it is a check's own assertion."""
    if isinstance(error, AssertionError) and str(error):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename.rpartition('/')[2]}:{frame.lineno})"
