"""Figures of verdicts: one of each claim, from its ledger line alone, and some of evidence that claims share."""

from jacprobe.report.figures.key import key_figure, key_figures
from jacprobe.report.figures.shared import EvidenceFigure, Gallery, LeftOut, gallery

__all__ = ["EvidenceFigure", "Gallery", "LeftOut", "gallery", "key_figure", "key_figures"]
