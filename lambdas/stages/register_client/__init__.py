"""The stage register_client."""
