"""The CDK app's parts: the functions' packages, what the stack is made of, and who may do what."""
