"""The stage import_image."""
