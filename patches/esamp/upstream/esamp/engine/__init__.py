"""How the method sits in vLLM 0.10.1.1: its hooks, the rows of a step, the taps, sampling, and what is refused."""
