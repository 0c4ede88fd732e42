"""Perturbation models behind one protocol."""
