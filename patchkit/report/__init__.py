"""Evidence for people and for CI; a file each form."""
