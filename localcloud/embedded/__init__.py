"""The embedded clouds put together: one AWS and one Azure, what's deployed into them, and the process they live in."""
