"""The door decide."""
