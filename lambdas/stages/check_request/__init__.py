"""The stage check_request."""
