"""The client image: from the Failback Client's ISO to a disk that boots in Azure, Google Cloud and EC2."""
