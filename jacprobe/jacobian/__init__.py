"""Exact Jacobians of a model's own forward pass."""
