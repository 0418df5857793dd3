"""AWS Elastic Disaster Recovery of the embedded AWS: recovery instances, their replication back, launches."""
