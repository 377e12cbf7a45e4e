"""The score of a run of mutants, for people and for CI."""
