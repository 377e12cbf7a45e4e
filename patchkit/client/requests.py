"""One request: sent again with growing pauses while it fails in passing; any other failure is one line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from patchkit.client.limits import Pace
from patchkit.errors import PatchkitError
from patchkit.plural import counted

if TYPE_CHECKING:
    from openai import OpenAI

PASSING = frozenset({408, 409, 429})  # and 500 and above
LONGEST_PAUSE = 60.0  # seconds, also where a server asks for more
FIRST_PAUSE = 0.5

Answer = TypeVar("Answer")


class ServerError(PatchkitError):
    """The server did not answer, or not as it should; the same request may succeed later."""


def tried(ask: Callable[[], Answer], url: str, retries: int, pace: Pace, again: Callable[[], None]) -> Answer:
    """The answer of ``ask``, which is called again up to ``retries`` times while it fails in passing.

    Args:
        ask: sends one request with the ``openai`` client.
        url: of the server, for messages.
        pace: every attempt waits for it.
        again: called before each repetition.

    Raises:
        ServerError: no answer in all attempts.
        PatchkitError: the server refuses the request.
    """
    from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

    def attempt() -> Answer:
        pace.wait()
        return ask()

    retrying = Retrying(
        retry=retry_if_exception(in_passing),
        stop=stop_after_attempt(retries + 1),
        wait=_pause,
        before_sleep=lambda _: again(),
        reraise=True,
    )
    tries = f", tried {counted(retries + 1, 'time')}" if retries else ""
    try:
        return retrying(attempt)
    except APIStatusError as error:
        said = f"status {error.status_code}: {_words(error)}"
        if in_passing(error):
            raise ServerError(f"{url} does not answer: {said}{tries}", "see the server's log") from None
        raise PatchkitError(f"{url} refuses the request, {said}", _fix(error.status_code)) from None
    except APITimeoutError:
        fix = "give it a longer timeout, or ask for less at once"
        raise ServerError(f"{url}: no whole answer within the timeout{tries}", fix) from None
    except APIConnectionError as error:
        why = _words(error) if error.__cause__ is None else f"{_words(error)} ({error.__cause__})"
        raise ServerError(f"{url} does not answer: {why}{tries}", "see that a server runs there") from None
    except (OpenAIError, ValueError) as error:
        raise ServerError(f"{url}: the answer cannot be read: {error}", "see that it is a vLLM server") from None


def in_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        return error.status_code in PASSING or error.status_code >= 500
    return isinstance(error, APIConnectionError)  # a timeout is one


def read_json(client: OpenAI, url: str, timeout: float) -> Any:
    """The JSON at an address of the server; None if there is nothing at it."""
    from openai import NotFoundError

    try:
        return json.loads(client.get(url, cast_to=str, options={"timeout": timeout}))
    except NotFoundError:
        return None


def post_json(client: OpenAI, url: str, body: dict[str, Any], timeout: float) -> Any:
    """The JSON that the server answers to a call of one of its methods; None if it has no such address or method."""
    from openai import APIStatusError

    try:
        return json.loads(client.post(url, cast_to=str, body=body, options={"timeout": timeout}))
    except APIStatusError as error:
        if error.status_code in (404, 500):  # a method that a worker does not have is a 500
            return None
        raise


def _pause(state: RetryCallState) -> float:
    """Seconds: as the server asks, else doubled each time, with a random part so that clients do not return as one."""
    asked = _asked(state.outcome.exception() if state.outcome else None)
    doubled = FIRST_PAUSE * 2 ** (state.attempt_number - 1) * random.uniform(1.0, 1.5)
    return min(LONGEST_PAUSE, doubled if asked is None else asked)


def _asked(error: BaseException | None) -> float | None:
    """What ``Retry-After`` says in seconds; None without it, or where it is a date."""
    from openai import APIStatusError

    said = error.response.headers.get("retry-after", "") if isinstance(error, APIStatusError) else ""
    try:
        return max(0.0, float(said))
    except ValueError:
        return None


def _words(error: Any) -> str:
    """What the server says of an error, else what the client says."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    return str(said or error.message).rstrip(".")[:300]


def _fix(status: int) -> str:
    if status in (401, 403):
        return "set OPENAI_API_KEY to the key that the server asks for"
    if status == 404:
        return "check the URL and the name of the model"
    return "correct what it names"
