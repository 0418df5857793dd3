"""The failback command: a composition root; nothing imports it."""
