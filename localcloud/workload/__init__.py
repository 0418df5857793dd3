"""The system that a failed-over server is itself: small, really bootable, and it says what was written to its disk."""
