"""From evidence requests to labelled arrays: which probe serves which request.

The only place where requests meet models. Heavy libraries are imported when a request is resolved, not before.
"""

from jacprobe.evidence import controls, derived, instrument, lists, models, sets
from jacprobe.evidence.base import resolve

__all__ = ["controls", "derived", "instrument", "lists", "models", "resolve", "sets"]
