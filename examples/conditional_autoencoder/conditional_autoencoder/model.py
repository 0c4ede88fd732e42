"""A conditional autoencoder: a cell's code, read under its condition, is decoded under any condition."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConditionalAutoencoder(nn.Module):
    """z = encoder(x, p(c)); x' = relu(decoder(z, p(c'))), where p(c) is a learned vector of the condition.

    Parameters
    ----------
    genes, conditions
        Columns of expression, and conditions, the control among them.
    code, latent
        Sizes of z and of p; z is narrow, so that the condition is read from p.
    """

    def __init__(self, genes: int, conditions: int, code: int = 3, latent: int = 8, hidden: int = 32) -> None:
        super().__init__()
        self.pert_encoder = nn.Sequential(nn.Linear(conditions, latent))
        self.encoder = nn.Sequential(nn.Linear(genes + latent, hidden), nn.GELU(), nn.Linear(hidden, code))
        self.decoder = nn.Sequential(nn.Linear(code + latent, hidden), nn.GELU(), nn.Linear(hidden, genes))

    def encode(self, cells: Tensor, pert: Tensor) -> Tensor:
        """Return codes of cells [..., G] that are under the condition p [..., D]: [..., code]."""
        return self.encoder(torch.cat([cells, pert], dim=-1))

    def argument(self, code: Tensor, pert: Tensor) -> Tensor:
        """Return what the last ReLU is given, for codes [..., code] under conditions [..., D]: [..., G]."""
        return self.decoder(torch.cat([code, pert], dim=-1))

    def forward(self, cells: Tensor, of: Tensor, under: Tensor) -> Tensor:
        """Return cells [..., G] of one-hot conditions `of` as they would be under `under`: [..., G]."""
        return self.argument(self.encode(cells, self.pert_encoder(of)), self.pert_encoder(under)).relu()
