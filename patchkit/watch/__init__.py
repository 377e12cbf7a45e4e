"""Watches for new vLLM releases: what changed, and is the runtime proven on it? Uses drift and gates."""
