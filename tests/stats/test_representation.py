"""Measures on features of layers: weakest and strongest model, z, line, training; against loops and planted sets."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats.representation import coherence_of_one_line, representation_learned, represented_alike

N, F = 80, 30
MEMBERS = [f"KD{i}" for i in range(12)]


def features(rng: np.random.Generator, shared: float, names: list[str] | None = None) -> xr.DataArray:
    """Features in which the members share a direction of weight `shared`."""
    X = rng.standard_normal((N, F))
    X[:12] += shared * rng.standard_normal(F)
    return xr.DataArray(X, dims=("kd", "feature"), coords={"kd": names or [f"KD{i}" for i in range(N)]})


def excess(array: xr.DataArray, members: list[str]) -> float:
    """D by loops over pairs."""
    rows = dict(
        zip(array["kd"].values, array.values / np.linalg.norm(array.values, axis=1, keepdims=True), strict=True)
    )

    def mean(names: list[str]) -> float:
        return float(np.mean([rows[a] @ rows[b] for a in names for b in names if a != b]))

    return mean(members) - mean(list(rows))


@pytest.mark.parametrize(("claim", "which"), [("everywhere", min), ("nowhere", max)])
def test_a_set_is_as_alike_as_in_the_weakest_or_the_strongest_model(rng, claim, which):
    models = {"a": features(rng, 1.0), "b": features(rng, 0.4)}
    estimate = represented_alike(models, MEMBERS, rng, claim=claim, permutations=199)
    assert estimate.effect == pytest.approx(which(excess(array, MEMBERS) for array in models.values()))
    assert estimate.n == 12


def test_models_are_compared_over_the_knockdowns_that_both_have(rng):
    whole = features(rng, 1.0)
    estimate = represented_alike({"a": whole, "b": whole[: N - 20]}, MEMBERS, rng, permutations=199)
    assert estimate.effect == pytest.approx(excess(whole[: N - 20], MEMBERS))


def test_z_is_the_distance_from_random_sets_in_their_sd(rng):
    array = features(rng, 0.6)
    plain = represented_alike({"a": array}, MEMBERS, np.random.default_rng(1), permutations=999)
    z = represented_alike({"a": array}, MEMBERS, np.random.default_rng(1), scale="z", permutations=999)
    null = plain.nulls[0]
    assert z.effect == pytest.approx((plain.effect - null.mean) / null.sd)
    assert plain.ci is not None
    assert z.ci == pytest.approx([(bound - null.mean) / null.sd for bound in plain.ci])
    assert (z.nulls[0].mean, z.nulls[0].sd) == pytest.approx((0, 1))
    assert z.p == plain.p


def test_other_spaces_and_sets_stand_beside_and_are_flagged_where_they_decide_otherwise(rng):
    array, level = features(rng, 1.0), 50 * np.abs(rng.standard_normal(F))
    raw = array + level
    unlike = features(rng, 0.0)
    found = represented_alike(
        {"a": array}, MEMBERS, rng, raw={"a": raw}, layer={"a": unlike}, clean=MEMBERS[:6], permutations=199
    )
    shown = found.diagnostics["sensitivity"]["a"]
    assert shown["primary"]["D"] == pytest.approx(found.effect)
    assert shown["raw"]["D"] == pytest.approx(excess(raw, MEMBERS))
    assert shown["activations"]["D"] == pytest.approx(excess(unlike, MEMBERS))
    assert shown["cleaned set"]["D"] == pytest.approx(excess(array, MEMBERS[:6]))
    logs = np.sign(raw) * np.log1p(abs(raw)) - np.log1p(level)
    assert shown["log1p"]["D"] == pytest.approx(excess(logs, MEMBERS))
    assert shown["standardised"]["D"] == pytest.approx(excess(array / array.std("kd"), MEMBERS))
    assert [flag.split(":")[1] for flag in found.flags if "decided otherwise" in flag] == [
        " decided otherwise by activations"
    ]
    assert set(found.as_published["a"]) == {"nb01_set_draw_without_plus_one", "nb01_mann_whitney_over_pairs"}
    assert found.as_published["a"]["nb01_mann_whitney_over_pairs"]["within"] > 0.9


def test_copies_are_compared_over_their_own_knockdowns(rng):
    array = features(rng, 1.0)
    copies = [array[:40] for _ in range(2)]
    found = represented_alike({"a": array}, MEMBERS, rng, permutations=199, random_body=copies, untrained=None)
    shown = found.diagnostics["controls"]["random-body"]
    assert shown["trained"] == pytest.approx(shown["mean"]) == pytest.approx(excess(array[:40], MEMBERS))
    assert any("random-body copies show as much" in flag for flag in found.flags)


def test_features_that_are_zero_are_missing_evidence(rng):
    array = features(rng, 1.0)
    array[3] = 0
    with pytest.raises(EvidenceMissingError, match="KD3"):
        represented_alike({"a": array}, MEMBERS, rng, permutations=199)


def test_one_lines_coherence_is_a_difference_that_another_training_must_not_show(rng):
    a, b = features(rng, 1.0), features(rng, 0.0)
    alone = coherence_of_one_line(a, b, MEMBERS, rng, permutations=199)
    assert alone.effect == pytest.approx(excess(a, MEMBERS) - excess(b, MEMBERS))
    assert alone.caution is None
    assert any("no other training" in flag for flag in alone.flags)
    same = coherence_of_one_line(a, b, MEMBERS, rng, replicate=(a, a), permutations=199)
    assert same.caution is None
    other = coherence_of_one_line(a, b, MEMBERS, rng, replicate=(a, features(rng, 0.0)), permutations=199)
    assert (other.caution is not None) is (other.diagnostics["seed_replicate"]["difference"] >= other.effect)


def test_learning_needs_every_kind_of_copy_to_show_less(rng):
    trained, sets = features(rng, 1.0), {"set": MEMBERS}
    nothing = [features(rng, 0.0) for _ in range(20)]
    learned = representation_learned(trained, nothing, sets, rng, random_encoder=nothing[:5], permuted_onehot=None)
    expected = excess(trained, MEMBERS) - np.mean([excess(copy, MEMBERS) for copy in nothing])
    assert learned.effect == pytest.approx(expected)
    assert learned.caution is None
    kept = [trained + 0.01 * rng.standard_normal((N, F)) for _ in range(5)]
    explained = representation_learned(trained, nothing, sets, rng, random_body=kept)
    assert "random-body copies show as much" in str(explained.caution)
