"""Sinks: where a disk plan is written to, each by stream and with bounded memory."""
