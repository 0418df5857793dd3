"""The stage find_client_image."""
