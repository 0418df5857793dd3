"""The stage watch."""
