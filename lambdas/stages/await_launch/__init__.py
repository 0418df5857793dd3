"""The stage await_launch."""
