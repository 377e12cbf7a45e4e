"""A stub of a Triton backend for the CPU, copied into environments for the second model runner; nothing is compiled."""
