"""The commands: each puts rooms together, shows what they found, and returns the exit code. Nothing imports these."""
