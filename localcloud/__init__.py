"""The embedded mode: the clouds that a run talks to when no account is at hand. Never shipped to AWS."""
