"""What AWS Lambda runs: one folder a stage, and what connects them to the clouds."""
