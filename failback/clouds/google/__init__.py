"""Adapters of Google Cloud."""
