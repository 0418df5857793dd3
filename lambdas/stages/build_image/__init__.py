"""The stage build_image."""
