"""The command line: what each command takes, no logic. Verbs are imported late, so that ``--help`` stays instant."""

from patchkit.cli.root import commands, main

__all__ = ["commands", "main"]
