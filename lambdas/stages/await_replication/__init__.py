"""The stage await_replication."""
