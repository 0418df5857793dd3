"""The stage boot_client."""
