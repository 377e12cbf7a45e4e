"""What moved under a runtime, for people."""
