"""The embedded Google Cloud's Storage: the JSON API over files."""
