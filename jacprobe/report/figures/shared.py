"""The figures that claims share: made of ledger lines, and of evidence where the store still holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.report.figures import overview, style
from jacprobe.report.figures.cache import kept
from jacprobe.report.figures.evidence import Evidence
from jacprobe.report.figures.reading import finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Line = Mapping[str, Any]

_IDENTITY = ("models", "study_sha256", "batch", "n_cells", "seed", "quick", "evidence", "store")
ROUTING, ZEROSHOT = "nb05-routing-coherence", "nb06-zeroshot-routing-coherence"
CLUSTERS, CLUSTERED = "nb05-ribosomal-output-cluster", "nb05-same-cluster-jacobians-more-similar"
SHARE, KNOCKOUT = "nb05-leading-component-is-shared", "nb04-knockout-agreement-below-circuit-threshold"
DECILES = "nb07-fewshot-graded-over-deciles"


@dataclass(frozen=True)
class EvidenceFigure:
    """A figure that several claims share.

    Attributes
    ----------
    slug, title, caption, alt
        Name of its file, and what is said of it; `alt` in place of the picture.
    png
        The picture.
    claims
        Ids of the claims that it shows.
    """

    slug: str
    title: str
    caption: str
    alt: str
    png: bytes
    claims: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """A figure that could not be made, and why."""

    slug: str
    title: str
    reason: str


@dataclass(frozen=True)
class Gallery:
    """The figures of a ledger that could be made, and those that could not."""

    figures: tuple[EvidenceFigure, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Plan:
    """A figure to be made: the claims that it needs and those that it also shows, and what draws it."""

    slug: str
    title: str
    caption: str
    alt: str
    needs: tuple[str, ...]
    draw: Callable[[Evidence, Mapping[str, Line]], style.Sheet]
    also: tuple[str, ...] = ()


def gallery(lines: Sequence[Line], out: Path, store: str | Path | None = None) -> Gallery:
    """Return the figures of a ledger that claims share.

    Evidence is read from the store where it is there: nothing is computed anew and no model is loaded. A figure that is
    in `out`/figures already, of the same estimates, is read from there, and the study is not even opened.

    Parameters
    ----------
    lines
        Ledger lines.
    out
        Folder of the report.
    store
        Folder of the evidence store; the user's own where None.

    Raises
    ------
    JacprobeError
        If `out` cannot be written.
    """
    by_id = {line["id"]: line for line in lines}
    evidence = Evidence(lines, store)
    figures, left_out = list(_of_lines(lines, out)), []
    for plan in PLANS:
        lacking = [name for name in plan.needs if name not in by_id]
        if lacking:
            left_out.append(LeftOut(plan.slug, plan.title, f"not in this ledger: {', '.join(lacking)}"))
            continue
        shown = [by_id[name] for name in (*plan.needs, *plan.also) if name in by_id]
        try:
            png = kept(out, plan.slug, _content(shown), lambda plan=plan: style.png(plan.draw(evidence, by_id)))
        except EvidenceMissingError as missing:
            left_out.append(LeftOut(plan.slug, plan.title, str(missing)))
        else:
            claims = tuple(line["id"] for line in shown)
            figures.append(EvidenceFigure(plan.slug, plan.title, plan.caption, plan.alt, png, claims))
    return Gallery(tuple(figures), tuple(left_out))


def _of_lines(lines: Sequence[Line], out: Path) -> Iterator[EvidenceFigure]:
    for part, shown in _parts(overview.control_lines(lines)):
        yield _figure(
            f"trained-against-random{part}",
            "Trained against randomised models",
            "What a claim is about, in the trained model, in copies whose weights (or labels) were drawn anew, and in "
            "a second training where there is one. Where grey reaches red, training did not make it.",
            f"Values of {len(shown)} claims in the trained model, randomised copies and a seed replicate.",
            shown,
            out,
            overview.trained_against_random,
        )
    for group in dict.fromkeys(line["group"] for line in lines):
        for part, shown in _parts(overview.forest_lines([line for line in lines if line["group"] == group])):
            yield _figure(
                f"forest-{group}{part}",
                f"Effects of {group.upper()}",
                "Effects with 95 % intervals, and the published effects where there is one in the same unit.",
                f"Forest plot of {len(shown)} effects of {group} with intervals and published values.",
                shown,
                out,
                overview.forest,
            )


def _parts(lines: Sequence[Line]) -> Iterator[tuple[str, Sequence[Line]]]:
    """Yield as many lines as a figure shows, in shares of one size, with what tells their slugs apart."""
    many = -(-len(lines) // overview.MOST_ROWS)
    for part in range(many):
        start, end = (len(lines) * place // many for place in (part, part + 1))
        yield f"-{part + 1}" if many > 1 else "", lines[start:end]


def _figure(
    slug: str,
    title: str,
    caption: str,
    alt: str,
    shown: Sequence[Line],
    out: Path,
    draw: Callable[[Sequence[Line]], style.Sheet],
) -> EvidenceFigure:
    png = kept(out, slug, _content(shown), lambda: style.png(draw(shown)))
    return EvidenceFigure(slug, title, caption, alt, png, tuple(line["id"] for line in shown))


def _content(lines: Sequence[Line]) -> list[Any]:
    """Return what determines a figure: the estimates, and what they were measured on."""
    return [
        [line[name] for name in ("id", "effect", "ci", "n", "verdict", "criterion", "published", "diagnostics")]
        + [{name: line["provenance"].get(name) for name in _IDENTITY}]
        for line in lines
    ]


def _scatter(evidence: Evidence, by_id: Mapping[str, Line]) -> style.Sheet:
    from jacprobe.report.figures import panels

    shown = {"fewshot": ROUTING, "zeroshot": ZEROSHOT}
    found, r = {}, {}
    for name, claim in shown.items():
        if claim == ROUTING or (claim in by_id and evidence.has(claim, "jacobians", "responses")):
            found[name] = (evidence.of(claim, "jacobians"), evidence.of(claim, "responses"))
            r[name] = finite((by_id[claim]["diagnostics"].get("r") or {}).get("pearson"))
    return panels.scatter(found, r)


def _heatmap(evidence: Evidence, by_id: Mapping[str, Line]) -> style.Sheet:  # noqa: ARG001 - every figure takes both
    from jacprobe.report.figures import panels

    return panels.heatmap(evidence.of(ROUTING, "responses"), evidence.of(CLUSTERED, "labels"))


def _umap(evidence: Evidence, by_id: Mapping[str, Line]) -> style.Sheet:  # noqa: ARG001 - every figure takes both
    from jacprobe.report.figures import panels

    delta, labels = evidence.of(CLUSTERS, "delta"), evidence.of(CLUSTERS, "labels")
    names = [name for name in labels.kd.values.tolist() if name in set(delta.kd.values.tolist())]
    families = {member: name for name, members in evidence.families().items() for member in members}
    place = panels.umap(delta.sel(kd=names).values)
    return panels.two_maps(place, labels.sel(kd=names).values.tolist(), [families.get(name) for name in names])


def _shares(evidence: Evidence, by_id: Mapping[str, Line]) -> style.Sheet:
    from jacprobe.report.figures import panels
    from jacprobe.stats.spectra import shares_without_each

    cosines, norms = evidence.of(SHARE, "jacobians"), evidence.of(SHARE, "norms")
    found = {
        "Jacobians as they are": shares_without_each(cosines, norms),
        "rows of length 1": shares_without_each(cosines),
    }
    diagnostics = by_id[SHARE]["diagnostics"]
    copies = {name: one["copies"] for name, one in (diagnostics.get("controls") or {}).items() if one.get("copies")}
    return panels.shares(found, copies, finite(diagnostics.get("published_effect")), len(cosines))


def _knockouts(evidence: Evidence, by_id: Mapping[str, Line]) -> style.Sheet:
    from jacprobe.report.figures import panels
    from jacprobe.report.regions import region
    from jacprobe.stats.profiles import cross_correlations

    matched, mismatched = cross_correlations(evidence.of(KNOCKOUT, "a"), evidence.of(KNOCKOUT, "b"))
    r = {"across lines, same gene": matched, "across lines, other gene": mismatched}
    replicate, repeated = evidence.beside(KNOCKOUT, "replicate"), evidence.beside(KNOCKOUT, "reliability")
    if replicate is not None:
        r["one line, two trainings"] = replicate.values
    if repeated is not None:
        r["one model, other control cells"] = repeated[0].values
    bounds = region(by_id[KNOCKOUT])
    published = finite(by_id[KNOCKOUT]["diagnostics"].get("published_effect"))
    return panels.knockouts(r, published, None if bounds is None else finite(bounds[1]))


PLANS = (
    _Plan(
        "routing-scatter",
        "Similar responses and similar Jacobians",
        "All pairs of knockdowns: cosine of their Jacobians against cosine of their predicted responses. Darker is "
        "more pairs (log scale); red are medians and quartiles within tenths of the pairs by similarity of responses.",
        "Density of pairs of knockdowns by cosine of responses and cosine of Jacobians, with medians by decile.",
        (ROUTING,),
        _scatter,
        (ZEROSHOT, DECILES),
    ),
    _Plan(
        "response-heatmap",
        "Responses by cluster",
        "Cosines of the knockdowns' predicted responses, ordered by response clusters that were cut on other control "
        "cells: blocks that stand out are not made by the cut.",
        "Matrix of cosines between predicted responses, ordered by response cluster.",
        (ROUTING, CLUSTERED),
        _heatmap,
    ),
    _Plan(
        "response-umap",
        "A map of the responses",
        "UMAP of the predicted responses of all knockdowns, by response cluster and by gene family. A map shows what "
        "is near what; distances between groups and their sizes mean nothing.",
        "Two copies of a UMAP of predicted responses, coloured by response cluster and by gene family.",
        (CLUSTERS,),
        _umap,
    ),
    _Plan(
        "component-share",
        "Is the first component one knockdown?",
        "Share of the first component of the Jacobians over all knockdowns (red), with each knockdown left out once "
        "(ticks), beside randomised copies and the published share.",
        "Shares of variance of the first component, with each knockdown left out once, beside the published share.",
        (SHARE,),
        _shares,
    ),
    _Plan(
        "knockout-agreement",
        "Do two lines answer a silenced gene alike?",
        "Spearman r of the two lines' responses to the same silenced gene, beside that of different genes, of two "
        "trainings of one line, and of one model over other control cells, which is the ceiling.",
        "Distributions of r across lines, of mismatched genes, between trainings and between control-cell draws.",
        (KNOCKOUT,),
        _knockouts,
    ),
)
