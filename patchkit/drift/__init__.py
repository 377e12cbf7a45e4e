"""What changed under a runtime between two vLLM releases, read from their sources without installing either."""
