"""The demo family: small State models trained on a simulated study whose truth is known."""
