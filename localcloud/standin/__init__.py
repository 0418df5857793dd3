"""A stand-in for AWS's Failback Client ISO, with the layout of the real one, built from Debian packages."""
