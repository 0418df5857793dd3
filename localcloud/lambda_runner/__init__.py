"""AWS Lambda for the embedded mode: handlers run in real processes by AWS's own runtime client."""
