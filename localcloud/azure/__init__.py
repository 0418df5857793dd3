"""Azure in miniature: Entra tokens, ARM compute and network, and the page blobs behind managed disks."""
