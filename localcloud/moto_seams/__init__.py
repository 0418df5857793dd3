"""The only place that touches moto's internals: what it lacks for state machines, deployment and events."""
