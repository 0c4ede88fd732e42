"""A study with several trainings of a role is judged over them, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.worlds.planted import world
from jacprobe.estimate import Estimate
from jacprobe.judging import Judging
from jacprobe.suite import load_rows

ROWS = load_rows(Path(__file__).parents[2] / "claims")
CLAIM = ROWS["nb06-hepatocyte-knockdowns-transfer-least"]


def measured(study, claim=CLAIM) -> Estimate:
    found = Judging(study, ROWS).estimate(claim)
    assert isinstance(found, Estimate)
    return found


def retrained(*seeds: int):
    """Return the planted world, and in it the zeroshot models of other worlds as its further trainings."""
    first = world()
    models, built = dict(first.models), dict(first.built)
    for seed in seeds:
        models[f"zeroshot/hepg2@{seed}"] = first.models["zeroshot/hepg2"]
        built[f"zeroshot/hepg2@{seed}"] = world(seed=seed).built["zeroshot/hepg2"]
    return first.reopened(models=models, built=built)


def test_the_unit_is_the_model_where_there_are_several():
    study = retrained(1, 2)
    joined = measured(study)
    alone = [measured(study.training(name)).effect for name in ("absent", "1", "2")]
    assert joined.effect == pytest.approx(sum(alone) / 3)
    assert joined.n == 3
    assert "the unit is the model" in joined.flags[-1]
    assert Judging(study, ROWS).models(CLAIM)[-2:] == ["zeroshot/hepg2@1", "zeroshot/hepg2@2"]


def test_a_test_that_returns_the_first_estimate_is_recorded_over_all():
    study = retrained(1)
    first = measured(study.training("absent"))
    judging = Judging(study, ROWS)
    judging.estimate(CLAIM, lambda: first)
    line = judging.record(CLAIM)
    assert set(line["diagnostics"]["trainings"]) == {"the first", "1"}
    assert line["effect"] == pytest.approx(measured(study).effect)


def test_a_claim_on_roles_with_one_training_is_judged_as_ever():
    claim = ROWS["nb02-splicing-coherent"]
    assert measured(retrained(1), claim).effect == measured(world(), claim).effect


def test_what_must_be_exact_must_be_in_every_training():
    claim = ROWS["nb06-zeroshot-saw-no-hepg2-knockdown"]
    study = retrained(1)
    seen = study.reopened(built={**study.built, "zeroshot/hepg2@1": study.built["fewshot/hepg2"]})
    assert Judging(study, ROWS).judge(claim)[0].verdict == "SUPPORTED"
    assert Judging(seen, ROWS).judge(claim)[0].verdict == "REFUTED"
