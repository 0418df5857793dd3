"""The stage begin_wave."""
