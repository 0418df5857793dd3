"""S3 for large objects: files on disk, streamed in and out."""
