"""The stage quiesce."""
