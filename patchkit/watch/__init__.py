"""Keeping watch: is there a new vLLM, what moved in it, is the runtime proven on it? Stands above drift and gates."""
