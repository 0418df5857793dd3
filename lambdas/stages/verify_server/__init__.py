"""The stage verify_server."""
