"""The stage export_image."""
