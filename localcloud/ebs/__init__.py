"""Snapshots and machine images of the embedded AWS: the EBS direct APIs and EC2's image calls over the same files."""
