"""The runtime's own code, read statement by statement: what it touches of vLLM, and what of it cannot be followed."""
