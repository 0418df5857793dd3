"""The program that runs inside the booted client image, and how it gets in there."""
