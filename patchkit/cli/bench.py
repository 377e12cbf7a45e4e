"""`patchkit bench`: throughput and accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from patchkit.cli.options import (
    device_option,
    json_option,
    measured,
    python_option,
    release_option,
    runner_option,
    runtime_option,
    through_a_server,
)


class BenchGroup(click.Group):
    """Without one of its words, ``patchkit bench …`` is ``patchkit bench throughput …``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["throughput", *args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The words, and the options that ``throughput`` takes without being named."""
        self.format_commands(ctx, formatter)
        default = self.commands["throughput"]
        records = [option.get_help_record(click.Context(default)) for option in default.get_params(ctx)]
        with formatter.section("Options of throughput"):
            formatter.write_dl([record for record in records if record])


@click.group(cls=BenchGroup)
def bench() -> None:
    """Measure throughput (the default) or pass@k.

    With and without the runtime. Refuses while a gate of this release and device is red or unknown.
    """


@bench.command()
@release_option
@runtime_option
@device_option
@runner_option
@python_option
@click.option("--model", metavar="PATH_OR_HUB_ID", help="A folder, a hub id, or smollm2-135m.  [default: smollm2-135m]")
@click.option(
    "--shapes",
    type=click.Choice(["qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b"]),
    help="Random weights of these shapes instead of a model; nothing is downloaded.",
)
@click.option(
    "--loads", default="8x8", show_default=True, metavar="PxN,PxN", help="Prompts x samples of each, several loads."
)
@click.option(
    "--modes", default="eager", show_default=True, metavar="MODE,MODE", help="eager, graphs (torch.compile on a CPU)."
)
@click.option(
    "--settings",
    multiple=True,
    metavar="KEY=VALUE,KEY=VALUE",
    help="A set of the runtime's settings, or `defaults` (repeatable).",
)
@click.option("--pairs", type=click.IntRange(1), help="Runs of each side.  [default: 6 on a CPU, 12 on a GPU]")
@click.option("--tokens", type=click.IntRange(2), help="Of every sample.  [default: 32 on a CPU, 128 on a GPU]")
@click.option("--gpu-memory", type=click.FloatRange(0, 1, min_open=True), help="Share of a GPU that each engine gets.")
@click.option("--engine", multiple=True, metavar="KEY=VALUE", help="Of vllm.LLM, on both sides (repeatable).")
@click.option("--profile", is_flag=True, help="See where a step's time goes too.")
@click.option("--uninstalled", is_flag=True, help="Measure the runtime's engine after uninstall() too.")
@click.option(
    "--steps-memory", type=click.IntRange(0), default=0, metavar="N", help="See memory over so many steps too."
)
@click.option("--unproven", is_flag=True, help="Measure although a gate is red or unknown.")
@click.option("--evidence", type=click.Path(path_type=Path, dir_okay=False), help="Where the JSON goes.")
@json_option
def throughput(**options: Any) -> int:
    """Measure throughput with and without the runtime.

    Plain vLLM and the runtime in turn on one device, in pairs. The ratio is to the fastest plain vLLM of the modes
    that are asked for. Exit code 1 if the runtime was not at work in a row, or did not run.
    """
    from patchkit.verbs import throughput

    return throughput.throughput(throughput.ThroughputOptions(**options))


@bench.command()
@click.option("--vllm", "release", metavar="RELEASE", help="vLLM release, e.g. 0.20.0; with --url the server says it.")
@click.option(
    "--model",
    metavar="PATH_OR_HUB_ID",
    help="A folder, a hub id, or smollm2-135m; with --url its name there.",
)
@click.option("--task", required=True, metavar="TASK", help="humaneval, aime2024, arithmetic-LEVEL, or a .jsonl file.")
@click.option("--first", type=click.IntRange(1), help="Only this many of its problems.")
@click.option("--data", metavar="FILE", help="Where the task's problems are, if it does not bring them.")
@click.option("--grader", metavar="MODULE:NAME", help="Who checks the answers of a .jsonl file.")
@click.option("--n", type=click.IntRange(1), default=16, show_default=True, help="Samples a problem.")
@click.option("--modes", metavar="MODE,MODE", help="baseline, and the runtime or the modes of --setting by name.")
@click.option("--trials", type=click.IntRange(1), default=1, show_default=True, help="Two or more measure the noise.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer; the task says if not given.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="All samples are seeded from it.")
@click.option("--engine", multiple=True, metavar="KEY=VALUE", help="Of vllm.LLM, e.g. dtype=bfloat16 (repeatable).")
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="[MODE:]KEY=VALUE",
    help="Of the runtime; with MODE:, of a mode of that name, compared with the same baseline (repeatable).",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where workers run.  [default: cpu]")
@runtime_option
@through_a_server
@measured
def accuracy(**options: Any) -> int:
    """Measure pass@k of one model on one task.

    Says what the runtime does to it. A run that was stopped goes on where it was, with the same command.
    """
    from patchkit.verbs import accuracy

    return accuracy.accuracy(**accuracy.grouped(options))


@bench.command()
@click.argument("plan", metavar="MATRIX.yaml", type=click.Path(path_type=Path, dir_okay=False))
@measured
def matrix(**options: Any) -> int:
    """Measure pass@k of several models on several tasks.

    A file says which; there is one report.
    """
    from patchkit.verbs import accuracy

    return accuracy.matrix(**options)
