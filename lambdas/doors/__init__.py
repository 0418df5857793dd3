"""Functions that people and services come in by."""
