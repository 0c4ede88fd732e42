"""Content-addressed evidence on disk."""
