"""The embedded AWS: one address for every service."""
