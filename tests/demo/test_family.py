from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from jacprobe.demo.family import FAMILY, Recipe, command, held_out, split_toml
from jacprobe.demo.truth import read_plan

MODELS = {model.role: model for model in FAMILY}


@pytest.mark.parametrize("seed", range(5))
def test_named_knockdowns_train_and_families_give_their_share(seed: int):
    plan = read_plan()
    test, validation = held_out(plan, np.random.default_rng(seed))
    assert (len(set(test)), len(set(validation))) == (77, 25)
    assert set(test).isdisjoint(validation)
    assert set(plan.named).isdisjoint(test + validation)
    for family, members in plan.held_out.items():
        assert len(set(test) & set(plan.families[family])) == members
        assert set(validation).isdisjoint(plan.families[family])


def test_a_fewshot_split_holds_out_knockdowns_of_its_line():
    split = tomllib.loads(split_toml(MODELS["fewshot/jurkat"], "/data/study.h5ad", ["MYC"], ["MAX"]))
    assert split["datasets"] == {"replogle": "/data/study.h5ad"}
    assert split["fewshot"] == {"replogle.jurkat": {"val": ["MAX"], "test": ["MYC"]}}
    assert split["zeroshot"] == {}


def test_a_zeroshot_split_holds_out_the_line():
    split = tomllib.loads(split_toml(MODELS["zeroshot/hepg2"], "study.h5ad", ["MYC"], []))
    assert split["zeroshot"] == {"replogle.hepg2": "test"}
    assert split["fewshot"] == {}


def test_controls_share_data_or_seed_with_the_model_they_control():
    def seed_of(role: str) -> int:
        call = command(MODELS[role], Recipe(), 42, Path("split.toml"), Path("out"))
        return next(int(part.split("=")[1]) for part in call if part.startswith("training.train_seed="))

    assert [seed_of(role) for role in ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")] == [42, 43, 44]
    assert MODELS["seed-replicate"].line == "hepg2"
    assert not MODELS["seed-replicate"].zeroshot
    assert seed_of("seed-replicate") not in (42, 43, 44)
    assert MODELS["shared-seed/jurkat"].line == "jurkat"
    assert seed_of("shared-seed/jurkat") == seed_of("fewshot/hepg2")
