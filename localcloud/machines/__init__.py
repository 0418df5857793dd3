"""Virtual machines of the embedded clouds."""
