"""The stage write_report."""
