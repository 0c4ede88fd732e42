"""Figures of verdicts: one of each claim, from its ledger line alone, and some of evidence that claims share."""

from jacprobe.report.figures.key import key_figure, key_figures

__all__ = ["key_figure", "key_figures"]
