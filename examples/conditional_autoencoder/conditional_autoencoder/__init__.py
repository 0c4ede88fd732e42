"""A conditional autoencoder of perturbed cells, and its adapter for jacprobe."""
