"""Rules A to P: pure functions from arrays to an `Estimate`."""
