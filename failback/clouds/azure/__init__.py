"""Azure by its management and blob SDKs."""
