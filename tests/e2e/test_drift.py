"""Real vLLM releases from the package index, read and compared through the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHECKOUT, Patchkit

TRUTH = CHECKOUT / "benchmarks" / "drift" / "ground_truth.yaml"


def drift(patchkit: Patchkit, old: str, new: str) -> tuple[int, dict[str, Any]]:
    done = patchkit("drift", "--from", old, "--vllm", new, "--json")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def breaks(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    findings = [one for one in document["findings"] if one["severity"] in ("silent", "loud")]
    return {(one["symbol"].rpartition(".")[2], one["kind"], one["severity"]) for one in findings}


@pytest.mark.parametrize(
    ("old", "new", "unpatched", "expected"),
    [
        (
            "0.10.1.1",
            "0.10.2",
            0,
            {
                ("forward", "returns-changed", "loud"),
                ("sample", "returns-changed", "loud"),
                ("logprobs_mode", "value-changed", "loud"),
            },
        ),
        (
            "0.13.0",
            "0.14.0",
            0,
            {
                ("add_request", "side-effect-added", "silent"),
                ("async_scheduling", "setting-changed", "silent"),
            },
        ),
        ("0.22.1", "0.23.0", 0, {("GPUModelRunner", "selection-changed", "silent")}),  # patch 11
        (
            "0.27.1",
            "0.28.0",
            0,
            {
                ("_prepare_inputs", "returns-changed", "silent"),
                ("add_request", "parameter-added", "loud"),
                # the second runner's, and where requests come in: their hooks pass on whatever they are given
                *(
                    (name, "parameter-added", "loud")
                    for name in ("process_inputs", "execute_model", "prepare_inputs", "sample")
                ),
            },
        ),
    ],
)
def test_what_really_moved(
    patchkit: Patchkit, old: str, new: str, unpatched: int, expected: set[tuple[str, str, str]]
) -> None:
    code, document = drift(patchkit, old, new)
    assert breaks(document) == expected
    assert (code, document["unpatched"]) == (int(unpatched > 0), unpatched)
    truth = yaml.safe_load(TRUTH.read_text())["moves"]
    rows = [row for row in truth if row["release"] == new and row["severity"] in ("silent", "loud")]
    assert {(row["kind"], row["severity"]) for row in rows} <= {(kind, severity) for _, kind, severity in expected} | {
        ("returns-changed", "harmless")
    }


def test_a_timeline(patchkit: Patchkit) -> None:
    done = patchkit("drift", "--since", "0.20.0", "--vllm", "0.20.2")
    assert done.returncode == 0
    assert "2 releases, 1 with a break; every break is fixed" in done.stdout


def test_the_surface_is_declared_as_it_is(patchkit: Patchkit) -> None:
    done = patchkit("surface", "--check")
    assert done.returncode == 0, done.stdout
    assert "the code touches just these" in done.stdout


def test_a_checkout_and_an_interpreter_are_read_like_a_release(patchkit: Patchkit) -> None:
    home = json.loads(patchkit("env", "--vllm", "0.20.0", "--json").stdout)
    python = Path(home["python"])
    by_python = patchkit("drift", "--from", "0.20.0", "--python", str(python), "--json")
    assert by_python.returncode == 0, by_python.stderr
    assert not breaks(json.loads(by_python.stdout))
    site = next(python.parent.parent.glob("lib/python*/site-packages"))
    by_source = patchkit("drift", "--from", "0.20.0", "--source", str(site), "--json")
    assert json.loads(by_source.stdout)["findings"] == json.loads(by_python.stdout)["findings"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vllm", "0.99.0"], "0.99.0"),
        (["--vllm", "x"], "`x` is no vLLM release"),
        (["--since", "0.20.0", "--from", "0.19.0"], "leave --from"),
        (["--from", "0.20.0", "--vllm", "0.20.0"], "same release"),
        (["--from", "0.20.0", "--vllm", "0.19.0"], "is older"),
        (["--source", "/nowhere"], "/nowhere"),
        (["--python", sys.executable], "it has no vLLM"),
        (["--vllm", "0.20.0", "--source", "."], "leave --vllm out"),
    ],
)
def test_bad_input_is_one_line(patchkit: Patchkit, arguments: list[str], said: str) -> None:
    done = patchkit("drift", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.strip().splitlines()[-1]
    assert said in last, done.stderr
    assert "Traceback" not in done.stderr
