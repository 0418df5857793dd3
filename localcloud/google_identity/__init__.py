"""The embedded Google Cloud's identity: workload identity federation, impersonation, service-account keys, access."""
