"""Measures of NB05 and NB06 on what clusters hold: knockdowns of a set, raised outputs of a term (rule I).

Controls come beside the estimate: the same quantity in copies with re-drawn weights and in another training of the same
model. They stand in the diagnostics; what is missing is said in a flag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.stats import published
from jacprobe.stats.labels import axis_names, categories, locate, rows
from jacprobe.stats.moments import mean_off_diagonal
from jacprobe.stats.overlap import coclustering, coclustering_difference, enrichment, together
from jacprobe.stats.raised_outputs import output_enrichment, raised_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacprobe.estimate import Estimate

TOP = 50
LEVEL = 0.05


def marked_by_outputs(
    delta: Any,
    labels: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    untrained: Sequence[Any] | None = None,
    replicate: Any = None,
) -> Estimate:
    """Return how clearly one cluster is marked by a term among its 50 most raised outputs; see `output_enrichment`.

    Parameters
    ----------
    delta, labels
        Responses (kd, gene), and the cluster of each knockdown.
    members
        Genes of the term.
    rng
        Draws clusters and halves.
    untrained
        Mean responses (cluster, gene) of the clusters of untrained copies; or None.
    replicate
        The same of the model trained with another seed; or None.
    """
    estimate = output_enrichment(delta, labels, members, rng, top=TOP)
    found = estimate.diagnostics

    def largest(means: Any) -> float:
        inside = np.isin(axis_names(means, 1), members)
        counts = raised_members(rows(means, "means", ndim=2).values, inside, TOP)
        return float(counts.max() - TOP * inside.mean())

    hits = found["counts"][found["cluster"]]
    as_run = {"cluster": found["cluster"], **published.overlap_against_library(hits, TOP, found["set_size"])}
    own = max(found["counts"].values()) - found["expected"]
    return _beside(replace(estimate, as_published=as_run), own, largest, untrained, replicate)


def marked_cluster_holds(
    delta: Any, labels: Any, outputs: Sequence[str], members: Sequence[str], rng: np.random.Generator
) -> Estimate:
    """Return the share of a set's knockdowns in the cluster that a term of outputs marks, beyond that cluster's share.

    The cluster is chosen by outputs and the set counted by knockdowns. Where no cluster is marked beyond chance the
    choice is arbitrary, and nothing can be SUPPORTED.

    Parameters
    ----------
    delta, labels
        Responses (kd, gene), and the cluster of each knockdown.
    outputs
        Genes of the term.
    members
        Knockdowns of the set.
    rng
        Draws clusters and halves.
    """
    marked = output_enrichment(delta, labels, outputs, rng, top=TOP)
    cluster = marked.diagnostics["cluster"]
    estimate = enrichment(labels, members, cluster=cluster)
    unmarked = marked.p is not None and marked.p > LEVEL
    hits = estimate.diagnostics["hits"]
    return replace(
        estimate,
        caution=f"no cluster is marked by these outputs: p = {marked.p:.2g}" if unmarked else None,
        as_published={"members_in_marked_cluster": hits[cluster], "of": estimate.n},
        diagnostics={
            **estimate.diagnostics,
            "marked_p": marked.p,
            "marked_counts": marked.diagnostics["counts"],
            "cluster_with_most_members": max(hits, key=hits.__getitem__),
        },
    )


def common_clusters(
    labels: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    norms: Any = None,
    untrained: Sequence[Any] | None = None,
    replicate: Any = None,
) -> Estimate:
    """Return how much more often a set's knockdowns share a cluster than random sets do; see `coclustering`.

    Parameters
    ----------
    labels
        Cluster of each knockdown.
    members
        The set.
    rng
        Draws the sets.
    norms
        Norms of the responses, to match sets on; or None.
    untrained, replicate
        Clusters of untrained copies, and of the model trained with another seed; or None.
    """
    estimate = _matched_where_possible(labels, members, rng, norms)
    return _beside(estimate, estimate.effect, lambda one: _excess(one, members), untrained, replicate)


def common_clusters_and_leading_outputs(
    labels: Any,
    members: Sequence[str],
    sets: Mapping[str, Sequence[str]],
    leading: str,
    rng: np.random.Generator,
    norms: Any = None,
    means: Any = None,
    untrained: Sequence[Any] | None = None,
) -> Estimate:
    """Return the same as `common_clusters`, beside how many clusters are led by a set of outputs, as published.

    Parameters
    ----------
    labels, members, rng, norms
        As in `common_clusters`.
    sets, leading
        Sets of outputs, and the name of the one that stands for the members.
    means
        Mean responses (cluster, gene); or None.
    untrained
        Clusters of untrained copies; or None.
    """
    estimate = _matched_where_possible(labels, members, rng, norms)
    copies = None if untrained is None else [_excess(copy, members) for copy in untrained]
    as_run = {} if means is None or leading not in sets else _led(means, sets, leading)
    controls = {"this model": estimate.effect, "untrained": copies}
    return _with_controls(replace(estimate, as_published={**estimate.as_published, **as_run}), controls)


def clusters_lost(
    labels_a: Any, labels_b: Any, members: Sequence[str], rng: np.random.Generator, replicate: Any = None
) -> Estimate:
    """Return how much more often a set's knockdowns share a cluster in model A than in B, paired over its members.

    Parameters
    ----------
    labels_a, labels_b
        Cluster of each knockdown in each model.
    members
        The set.
    rng
        Draws the sets.
    replicate
        Clusters of model A trained with another seed, whose excess tells what is lost without any reason; or None.
    """
    estimate = coclustering_difference(labels_a, labels_b, members, rng)
    shares = {side: part.effect + part.diagnostics["background"] for side, part in estimate.parts.items()}
    estimate = replace(estimate, diagnostics={**estimate.diagnostics, "shares": shares})
    controls = {"seed replicate": None if replicate is None else _excess(replicate, members)}
    return _with_controls(estimate, controls)


def _matched_where_possible(labels: Any, members: Sequence[str], rng: np.random.Generator, norms: Any) -> Estimate:
    estimate = coclustering(labels, members, rng, norms)
    unmatched = () if norms is not None else ("not matched on the size of responses, which is not there",)
    return replace(estimate, flags=estimate.flags + unmatched)


def _beside(
    estimate: Estimate,
    own: float,
    quantity: Callable[[Any], float],
    untrained: Sequence[Any] | None,
    replicate: Any,
) -> Estimate:
    """Return the estimate with a quantity in this model and in its controls."""
    controls = {
        "this model": own,
        "untrained": None if untrained is None else [quantity(copy) for copy in untrained],
        "seed replicate": None if replicate is None else quantity(replicate),
    }
    return _with_controls(estimate, controls)


def _with_controls(estimate: Estimate, controls: Mapping[str, Any]) -> Estimate:
    missing = tuple(f"control missing: {name}" for name, value in controls.items() if value is None)
    diagnostics = {**estimate.diagnostics, "controls": dict(controls)}
    return replace(estimate, flags=estimate.flags + missing, diagnostics=diagnostics)


def _excess(labels: Any, members: Sequence[str]) -> float:
    """Return the share of a set's pairs in one cluster minus that of all pairs."""
    cut = categories(labels)
    same = together(cut.codes)
    index = locate(members, cut.names, 2).index
    return mean_off_diagonal(same[np.ix_(index, index)]) - mean_off_diagonal(same)


def _led(means: Any, sets: Mapping[str, Sequence[str]], outputs: str) -> dict[str, Any]:
    genes = axis_names(means, 1)
    places = {name: locate(members, genes, 1).index for name, members in sets.items()}
    leading = published.leading_sets(rows(means, "means", ndim=2).values, places)
    return {
        "leading_sets": dict(zip(axis_names(means, 0), leading, strict=True)),
        f"clusters_led_by_{outputs}": leading.count(outputs),
        "clusters": len(leading),
    }
