"""The problems that pass@k is measured on."""
