"""The stage fetch_iso."""
