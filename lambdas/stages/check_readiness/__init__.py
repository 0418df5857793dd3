"""The stage check_readiness."""
