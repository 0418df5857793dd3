"""Adapters: what the ports promise, done by each cloud's own SDK. They never import each other."""
