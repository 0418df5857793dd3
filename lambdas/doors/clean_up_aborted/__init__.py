"""The stage clean_up_aborted."""
