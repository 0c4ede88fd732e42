"""Models, data and evidence that are given to a study: found, refused where they are not what was asked for."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from fixtures.run_folders import Shape, batch_names, perturbation_names, random_cells, write_run_folder
from jacprobe.coverage import answerable
from jacprobe.errors import EvidenceMissingError, InputError, StudyError, UnknownNameError
from jacprobe.opening import open_study
from jacprobe.requests import Delta, PertEmbedding
from jacprobe.suite import load_rows, suite_root

NAME, FEWSHOT = "replogle-nadig", "fewshot/hepg2"
SHAPE = Shape()


def write_cells(path, drop=()):
    rng = np.random.default_rng(1)
    cells = np.concatenate([random_cells(SHAPE, rng, 80) for _ in range(2)])
    obs = pd.DataFrame(
        {
            "gene": (["non-targeting"] * 70 + perturbation_names(SHAPE)[:10]) * 2,
            "cell_line": ["hepg2"] * 80 + ["jurkat"] * 80,
            "gem_group": batch_names(SHAPE)[:2] * 80,
        },
        index=pd.Index([f"cell{i}" for i in range(160)]),
    ).drop(columns=list(drop))
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = cells
    data.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    for i, role in enumerate((FEWSHOT, "zeroshot/hepg2")):
        split = "fewshot" if i == 0 else "zeroshot"
        write_run_folder(folder / role, SHAPE, rng=np.random.default_rng(i), flag=None, layout="2025", split=split)
    write_cells(folder / "cells.h5ad")
    return folder


def test_a_folder_of_models_gives_the_roles_that_are_in_it(given):
    study = open_study(NAME, models=given, data=given / "cells.h5ad")
    assert list(study.models) == [FEWSHOT, "zeroshot/hepg2"]
    assert study.control_cells(FEWSHOT).sizes == {"cell": 64, "gene": SHAPE.genes}
    assert study.resolve(Delta(FEWSHOT)).shape == (SHAPE.perturbations - 1, SHAPE.genes)
    assert study.options == ("--models", str(given), "--data", str(given / "cells.h5ad"))


def test_one_model_alone_answers_what_needs_no_other_and_no_cells(given):
    study = open_study(NAME, model={FEWSHOT: given / FEWSHOT})
    assert study.resolve(PertEmbedding(FEWSHOT)).sizes["kd"] == SHAPE.perturbations - 1
    with pytest.raises(EvidenceMissingError, match=r"no control cells; wanted a file of them\. Give it by --data"):
        study.resolve(Delta(FEWSHOT))
    with pytest.raises(EvidenceMissingError, match="no model for the role zeroshot/hepg2"):
        study.resolve(Delta("zeroshot/hepg2"))
    rows = load_rows(suite_root() / "claims")
    ids = answerable(rows, study.models)
    assert "nb02-splicing-coherent" in ids
    assert "nb05-ribosome-knockdowns-co-cluster" in ids  # its controls are shown where they are there
    assert "nb06-clusterings-unrelated" not in ids
    assert "nb06-er-cluster-absent-from-zeroshot" not in ids
    assert "nb06-clusterings-unrelated" in answerable(rows, [FEWSHOT, "zeroshot/hepg2"])


def test_a_given_model_stands_in_place_of_the_studys_own(given):
    study = open_study("demo", model={"seed-replicate": given / FEWSHOT})
    assert study.models["seed-replicate"].run == given / FEWSHOT
    assert study.models[FEWSHOT].run.name == "fewshot-hepg2"


def test_nothing_given(given):
    with pytest.raises(StudyError, match=r"neither models nor evidence.*hf://arcinstitute/ST-HVG-Replogle@COMMIT"):
        open_study(NAME)
    with pytest.raises(StudyError, match="no run folder of the study; wanted one of fewshot/hepg2, fewshot/jurkat"):
        open_study(NAME, models=given / "fewshot")
    with pytest.raises(StudyError, match="no folder; wanted the run folder of fewshot/hepg2"):
        open_study(NAME, model={FEWSHOT: given / "nowhere"})
    with pytest.raises(StudyError, match="no file; wanted an h5ad file"):
        open_study(NAME, models=given, data=given)
    with pytest.raises(UnknownNameError, match=r"unknown role fewshot/hepg \(nearest: fewshot/hepg2"):
        open_study(NAME, model={"fewshot/hepg": given / FEWSHOT})


def test_data_without_the_columns_that_the_study_names(given, tmp_path):
    path = write_cells(tmp_path / "cells.h5ad", drop=("gem_group",))
    with pytest.raises(InputError, match=r"no obs\['gem_group'\].*cell_line"):
        open_study(NAME, models=given, data=path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="not readable as h5ad"):
        open_study(NAME, models=given, data=path)
