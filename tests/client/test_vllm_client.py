"""The client of a server: what it sends, what it makes of answers, and its limits."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from made_server import MadeServer, serving

import patchkit.client.requests as requests
from patchkit.client import Completion, Limits, VLLMClient
from patchkit.client.requests import ServerError
from patchkit.errors import PatchkitError


@pytest.fixture
def server() -> Iterator[MadeServer]:
    with serving(MadeServer()) as made:
        yield made


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)


def test_samples_of_a_text_have_consecutive_seeds_and_their_own_tokens(server: MadeServer) -> None:
    with VLLMClient(server.url) as client:
        found = client.sample("2 + 3 =", n=3, seed=40, max_tokens=5, temperature=0.8, min_p=0.1)
    assert found == [Completion(f"plain {40 + i}", 5, "length", 40 + i) for i in range(3)]
    (body,) = server.bodies
    assert body["path"] == "/v1/completions"
    assert (body["prompt"], body["n"], body["seed"], body["max_tokens"]) == ("2 + 3 =", 3, 40, 5)
    assert (body["temperature"], body["min_p"], body["model"]) == (0.8, 0.1, "made")
    assert "vllm_xargs" not in body


def test_messages_go_through_the_chat_template(server: MadeServer) -> None:
    with VLLMClient(f"{server.url}/v1/", model="made") as client:
        (one,) = client.sample([{"role": "user", "content": "2 + 3?"}], max_tokens=4)
    assert (one.text, one.seed) == ("chat 0", None)
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "2 + 3?"}]


def test_settings_of_the_runtime_are_flat_keys_of_the_request(server: MadeServer) -> None:
    with VLLMClient(server.url, runtime={"toy": False}) as client, client.with_runtime(toy=True) as on:
        client.sample("a")
        on.sample("a", runtime={"toy_force": 0.25})
    assert [body["vllm_xargs"] for body in server.bodies] == [{"toy": False}, {"toy": True, "toy_force": 0.25}]


def test_what_the_server_says_of_itself(server: MadeServer) -> None:
    server.counters = {"rows": 3}
    with VLLMClient(server.url, counters="/counters") as client, VLLMClient(server.url) as other:
        assert (client.version(), client.model, client.served().root) == ("0.20.0", "made", "/models/made")
        assert client.counters() == {"rows": 3}
        assert other.counters() is None, "it was given no address"
        server.version = server.counters = None
        assert (client.version(), client.counters()) == ("", None)


def test_counters_by_a_call_of_every_worker(server: MadeServer) -> None:
    with VLLMClient(server.url, counters="toy_counters") as client, VLLMClient(server.url, counters="other") as other:
        assert client.counters() is None, "the server takes no such calls"
        server.workers = [{"rows": 3, "finite": True}, {"rows": 4, "finite": True}]
        assert client.counters() == {"rows": 7, "finite": True}
        assert other.counters() is None and other.repeated == 0, "it has no such method"
        server.workers = [None]
        assert client.counters() is None


def test_a_request_that_fails_in_passing_is_sent_again(server: MadeServer) -> None:
    server.failures = [(503, {}), (429, {"Retry-After": "0.2"}), (500, {}), (408, {})]
    with VLLMClient(server.url) as client:
        began = time.monotonic()
        assert len(client.sample("a", n=2)) == 2
        assert client.repeated == 4
    assert time.monotonic() - began >= 0.2, "as long as the server asked for"


def test_a_server_that_goes_on_failing_is_one_line(server: MadeServer) -> None:
    server.failures = [(503, {})] * 9
    with VLLMClient(server.url, limits=Limits(retries=2)) as client, pytest.raises(ServerError) as raised:
        client.sample("a")
    assert str(raised.value).count("\n") == 0
    assert "does not answer: status 503: busy, tried 3 times" in str(raised.value)
    assert len(server.failures) == 6


def test_a_refusal_is_final_and_says_why(server: MadeServer) -> None:
    with VLLMClient(server.url) as client, pytest.raises(PatchkitError, match="max_tokens must be at least 1"):
        client.sample("a", max_tokens=0)
    assert client.repeated == 0


def test_a_timeout_is_sent_again(server: MadeServer) -> None:
    server.slow = 0.6
    with VLLMClient(server.url, model="made", limits=Limits(timeout=0.1, retries=1)) as client:
        with pytest.raises(ServerError, match="within the timeout, tried 2 times; give it a longer timeout"):
            client.sample("a")
        assert client.repeated == 1


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        VLLMClient(url, limits=Limits(retries=0)) as client,
        pytest.raises(ServerError, match="see that a server runs"),
    ):
        client.version()


def test_requests_keep_to_the_pace(server: MadeServer) -> None:
    with VLLMClient(server.url, model="made", limits=Limits(per_minute=600)) as client:
        began = time.monotonic()
        for _ in range(4):
            client.sample("a")
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("models", [("a", "b"), ()])
def test_a_model_that_is_not_clear(server: MadeServer, models: tuple[str, ...]) -> None:
    server.models = models
    with VLLMClient(server.url) as client, pytest.raises(PatchkitError, match="serves"):
        client.sample("a")
    with VLLMClient(server.url, model="c") as client, pytest.raises(PatchkitError, match="no model c"):
        client.served()


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host", "http://", "http://host:x", "http://host:99999"])
def test_no_url(url: str) -> None:
    with pytest.raises(PatchkitError, match="is no URL"):
        VLLMClient(url)


def test_credentials_are_not_shown() -> None:
    assert VLLMClient("https://me:secret@host:1/base/v1?x=1").url == "https://host:1/base"


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"retries": -1}, {"per_minute": 0}, {"timeout": 0.0}])
def test_limits_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(PatchkitError, match=next(iter(wrong))):
        Limits(**wrong)


def test_a_parameter_that_has_an_argument_of_its_own(server: MadeServer) -> None:
    with VLLMClient(server.url) as client, pytest.raises(PatchkitError, match="vllm_xargs is no sampling parameter"):
        client.sample("a", vllm_xargs={})


def test_without_openai_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(PatchkitError, match="install patchkit again"):
        VLLMClient("http://host")
