"""The stage await_commit."""
