"""drs-failback: workloads come home from AWS Elastic Disaster Recovery to Azure or Google Cloud."""
