"""The third-party runtime in the forked child: put it on the path, start it, and say where it broke."""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any


def install(request: dict[str, Any], settings: dict[str, Any]) -> Any:
    """Start the runtime of a request's tree, with ``settings`` on top of its defaults; returns what it returns."""
    tree = request["tree"]
    if tree not in sys.path:
        sys.path.insert(0, tree)
    module, _, function = request["start"].partition(":")
    return getattr(importlib.import_module(module), function)(**{**(request.get("defaults") or {}), **settings})


def describe(error: BaseException, tree: str | None) -> dict[str, Any]:
    """The error, and where it was raised: in the runtime, else in vLLM, else here."""
    return {
        "type": type(error).__name__,
        "message": str(error).strip() or repr(error),
        "where": deepest_frame(error, tree),
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def deepest_frame(error: BaseException, tree: str | None) -> str:
    """``file:line in function`` of the deepest frame in the runtime's tree, else in vLLM, else of all."""
    frames = traceback.extract_tb(error.__traceback__)
    import vllm

    for root in (tree, str(Path(vllm.__file__).parent.parent) if vllm.__file__ else None, None):
        for frame in reversed(frames):
            if root is None:
                return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
            if Path(frame.filename).is_relative_to(root) and (root == tree or "/vllm/" in frame.filename):
                return f"{Path(frame.filename).relative_to(root)}:{frame.lineno} in {frame.name}"
    return "nowhere known"
