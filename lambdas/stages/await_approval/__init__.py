"""The stage await_approval."""
