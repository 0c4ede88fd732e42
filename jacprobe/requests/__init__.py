"""Evidence requests: frozen, hashable descriptions of what a claim needs. Pure data; no torch, no arrays.

A request names a model by its *role* in the study ("fewshot/hepg2"). Requests nest: `Cosine(PertEmbedding(role))`.
Each file of requests has its answers in the file of that name in `jacprobe.evidence`.
"""

from jacprobe.requests.base import Request
from jacprobe.requests.controls import Copies, Replay
from jacprobe.requests.derived import (
    ClusterMeans,
    Clusters,
    Correlation,
    Cosine,
    InputAgreement,
    InputCosine,
    Norm,
    OnehotCosine,
    OnehotNorm,
    Pair,
)
from jacprobe.requests.instrument import (
    EncoderLookup,
    ForwardParity,
    LargestSlope,
    NameMismatches,
    PermutationError,
    SlopeError,
    TargetedSlopeError,
)
from jacprobe.requests.lists import Draws, EveryRole, FromSets, IfThere, Listed, Lists, Named, Silenced
from jacprobe.requests.models import (
    Among,
    Delta,
    Expression,
    Features,
    InputJacobian,
    Jacobian,
    Knockout,
    Observed,
    OverCells,
    PertEmbedding,
    Split,
    Targeted,
    TargetedPair,
)
from jacprobe.requests.sets import GeneSet, GeneSets, Panel

__all__ = [
    "Among",
    "ClusterMeans",
    "Clusters",
    "Copies",
    "Correlation",
    "Cosine",
    "Delta",
    "Draws",
    "EncoderLookup",
    "EveryRole",
    "Expression",
    "Features",
    "ForwardParity",
    "FromSets",
    "GeneSet",
    "GeneSets",
    "IfThere",
    "InputAgreement",
    "InputCosine",
    "InputJacobian",
    "Jacobian",
    "Knockout",
    "LargestSlope",
    "Listed",
    "Lists",
    "NameMismatches",
    "Named",
    "Norm",
    "Observed",
    "OnehotCosine",
    "OnehotNorm",
    "OverCells",
    "Pair",
    "Panel",
    "PermutationError",
    "PertEmbedding",
    "Replay",
    "Request",
    "Silenced",
    "SlopeError",
    "Split",
    "Targeted",
    "TargetedPair",
    "TargetedSlopeError",
]
