"""Probes: a model in, labelled arrays out."""
