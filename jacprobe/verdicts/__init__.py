"""Claims, criteria and the pure judge."""
