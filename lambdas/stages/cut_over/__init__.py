"""The stage cut_over."""
