"""The stage hold_server."""
