"""The stage close_server."""
