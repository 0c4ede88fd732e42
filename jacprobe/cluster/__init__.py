"""Collecting by other processes and machines, on Dask distributed."""
