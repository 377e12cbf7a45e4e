"""Measures a runtime with real models: throughput, and accuracy. :mod:`patchkit.evals` judges the samples."""
