from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, batch_names, gene_names, perturbation_names, write_run_folder
from jacprobe.errors import RunFolderError, UnsafePickleError
from jacprobe.models.run_folder import read_run_folder

SHAPE = Shape()
CHECKPOINT = "checkpoints/best.ckpt"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "fewshot-hepg2", SHAPE, rng=np.random.default_rng(0))


def rewrite(file: Path, **changes: Any) -> None:
    """Change entries of a pickled or torch-saved dictionary."""
    if file.suffix == ".pkl":
        file.write_bytes(pickle.dumps(pickle.loads(file.read_bytes()) | changes))
    else:
        torch.save(torch.load(file, weights_only=False) | changes, file)


@pytest.mark.parametrize("layout", ["2025", "0.11"])
def test_both_layouts_give_names_in_the_order_of_positions(tmp_path: Path, layout: Any):
    folder = write_run_folder(tmp_path, SHAPE, rng=np.random.default_rng(0), layout=layout)
    run = read_run_folder(folder)
    assert run.genes == tuple(gene_names(SHAPE))
    assert run.perturbations == tuple(perturbation_names(SHAPE))
    assert run.batches == tuple(batch_names(SHAPE))
    assert run.cell_types == ("hepg2", "jurkat")
    assert run.checkpoint == CHECKPOINT
    assert list(run.split.tags.values()) == ["held out"] * 3 + ["trained"] * 8


def test_positions_count_not_the_order_in_the_map(run: Path):
    file = run / "pert_onehot_map.pt"
    onehot = torch.load(file, weights_only=False)
    torch.save(dict(reversed(onehot.items())), file)
    assert read_run_folder(run).perturbations == tuple(perturbation_names(SHAPE))


def test_a_folder_without_split_loads_with_every_knockdown_unknown(run: Path):
    (run / "split.toml").unlink()
    split = read_run_folder(run).split
    assert set(split.tags.values()) == {"unknown"}
    assert split.source == "no split TOML in the folder"


@pytest.mark.parametrize("name", ["config.yaml", "cell_type_onehot_map.torch", "data_module.torch"])
def test_files_that_are_not_needed_may_be_missing(run: Path, name: str):
    (run / name).unlink()
    assert read_run_folder(run).genes == tuple(gene_names(SHAPE))


@pytest.mark.parametrize("var_dims", ["missing", "without names"])
def test_the_hyperparameters_may_name_the_genes_that_var_dims_does_not(run: Path, var_dims: str):
    if var_dims == "missing":
        (run / "var_dims.pkl").unlink()
    else:
        rewrite(run / "var_dims.pkl", gene_names=None)
    hyperparameters = torch.load(run / CHECKPOINT, weights_only=False)["hyper_parameters"]
    rewrite(run / CHECKPOINT, hyper_parameters=hyperparameters | {"gene_names": gene_names(SHAPE)})
    assert read_run_folder(run).genes == tuple(gene_names(SHAPE))


def test_gene_names_may_be_bytes_in_an_array(run: Path):
    rewrite(run / "var_dims.pkl", gene_names=np.array(gene_names(SHAPE), dtype="S"))
    assert read_run_folder(run).genes == tuple(gene_names(SHAPE))


@pytest.mark.parametrize(
    ("checkpoint", "file"),
    [("last", "last.ckpt"), ("final", "final.ckpt"), ("step=20", "run-step=20.ckpt"), ("checkpoints/x.ckpt", "x.ckpt")],
)
def test_checkpoints_are_found_by_name_step_or_path(run: Path, checkpoint: str, file: str):
    (run / "checkpoints" / "step=200.ckpt").touch()
    (run / CHECKPOINT).rename(run / "checkpoints" / file)
    assert read_run_folder(run, checkpoint).checkpoint == f"checkpoints/{file}"


def test_a_missing_checkpoint_names_those_that_are_there(run: Path):
    (run / CHECKPOINT).rename(run / "checkpoints" / "final.ckpt")
    with pytest.raises(RunFolderError, match=r"no checkpoint 'best'; wanted one of final\. Name one that is there"):
        read_run_folder(run)


def test_two_checkpoints_of_one_step_are_not_chosen_between(run: Path):
    for name in ("a-step=5", "b-step=5"):
        (run / "checkpoints" / f"{name}.ckpt").touch()
    with pytest.raises(RunFolderError, match=r"2 checkpoints of step=5: a-step=5\.ckpt, b-step=5\.ckpt"):
        read_run_folder(run, "step=5")


class MakeFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


PICKLES = ["checkpoints/best.ckpt", "pert_onehot_map.pt", "batch_onehot_map", "cell_type_onehot_map", "var_dims.pkl"]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("name", PICKLES)
def test_code_in_any_pickle_of_the_folder_is_refused_and_never_run(run: Path, name: str, plain: bool):
    file = run / name
    if "." not in name:
        file = file.with_suffix(".pkl" if plain else ".torch")
        file.with_suffix(".torch").unlink(missing_ok=True)
    content = {"non-targeting": MakeFolder(run / "victim")}
    if plain:
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    with pytest.raises(UnsafePickleError, match=rf"{file.name}: the pickle asks for \w+\.mkdir"):
        read_run_folder(run)
    assert not (run / "victim").exists()


@pytest.mark.parametrize(
    "name", ["checkpoints/best.ckpt", "pert_onehot_map.pt", "batch_onehot_map.torch", "var_dims.pkl"]
)
def test_a_truncated_file_is_named(run: Path, name: str):
    file = run / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(RunFolderError, match=rf"{file.name}: damaged or no pickle"):
        read_run_folder(run)


@pytest.mark.parametrize("name", ["pert_onehot_map.pt", "batch_onehot_map.torch"])
def test_a_missing_map_is_named(run: Path, name: str):
    (run / name).unlink()
    with pytest.raises(RunFolderError, match=rf"no {name.partition('.')[0]}\.\* in the folder.*Copy the file"):
        read_run_folder(run)


def test_no_folder_is_named(tmp_path: Path):
    with pytest.raises(RunFolderError, match="nowhere: no such folder"):
        read_run_folder(tmp_path / "nowhere")


def test_all_genes_of_the_genome_for_fewer_columns_give_both_counts(run: Path):
    rewrite(run / "var_dims.pkl", gene_names=[f"G{i}" for i in range(62_710)])
    with pytest.raises(RunFolderError, match=r"gene names: 62,710 in var_dims\.pkl; wanted 30 names.*by position"):
        read_run_folder(run)


def test_all_genes_of_the_genome_are_refused_though_the_checkpoint_lists_the_columns(run: Path):
    hyperparameters = torch.load(run / CHECKPOINT, weights_only=False)["hyper_parameters"]
    rewrite(run / CHECKPOINT, hyper_parameters=hyperparameters | {"gene_names": gene_names(SHAPE)})
    rewrite(run / "var_dims.pkl", gene_names=[f"G{i}" for i in range(62_710)])
    with pytest.raises(RunFolderError, match=r"62,710 in var_dims\.pkl, 30 in the checkpoint; wanted 30 names"):
        read_run_folder(run)


def test_the_genome_in_the_checkpoint_does_not_count_beside_the_columns_in_var_dims(run: Path):
    hyperparameters = torch.load(run / CHECKPOINT, weights_only=False)["hyper_parameters"]
    genome = [f"G{i}" for i in range(62_710)]
    rewrite(run / CHECKPOINT, hyper_parameters=hyperparameters | {"gene_names": genome})
    assert read_run_folder(run).genes == tuple(gene_names(SHAPE))


def test_no_gene_names_at_all_are_missed(run: Path):
    (run / "var_dims.pkl").unlink()
    with pytest.raises(RunFolderError, match="gene names: none at all; wanted 30"):
        read_run_folder(run)


def test_two_lists_of_genes_that_disagree_are_refused(run: Path):
    hyperparameters = torch.load(run / CHECKPOINT, weights_only=False)["hyper_parameters"]
    swapped = gene_names(SHAPE)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    rewrite(run / CHECKPOINT, hyper_parameters=hyperparameters | {"gene_names": swapped})
    with pytest.raises(RunFolderError, match="disagree on the genes: column 3 is GENE3 and GENE4"):
        read_run_folder(run)


def test_duplicate_genes_are_listed(run: Path):
    rewrite(run / "var_dims.pkl", gene_names=[*gene_names(SHAPE)[:-1], "GENE7"])
    with pytest.raises(RunFolderError, match="1 duplicate genes: GENE7"):
        read_run_folder(run)


def test_a_map_of_other_knockdowns_than_the_encoder_is_refused(run: Path):
    torch.save({f"KD{i}": row.clone() for i, row in enumerate(torch.eye(13))}, run / "pert_onehot_map.pt")
    with pytest.raises(RunFolderError, match=r"names 13 perturbations; wanted 12, the width of the model's encoder"):
        read_run_folder(run)


@pytest.mark.parametrize(
    ("vector", "found"),
    [
        (torch.full((12,), 0.1), "not one-hot"),
        (torch.zeros(12), "not one-hot"),
        (torch.zeros(1).expand(10**12), "not one-hot"),
        ("a string", "not one-hot"),
        (torch.eye(12)[5], "share a position"),
    ],
)
def test_vectors_that_are_not_one_hot_are_refused(run: Path, vector: object, found: str):
    rewrite(run / "pert_onehot_map.pt", GENE0=vector)
    with pytest.raises(RunFolderError, match=rf"pert_onehot_map\.pt: .*{found}"):
        read_run_folder(run)


def test_a_map_without_the_control_is_refused(run: Path):
    names = [f"KD{i}" for i in range(12)]
    torch.save({name: row.clone() for name, row in zip(names, torch.eye(12), strict=True)}, run / "pert_onehot_map.pt")
    with pytest.raises(RunFolderError, match="no control perturbation 'non-targeting' among 12"):
        read_run_folder(run)


def test_another_model_class_is_refused_by_name(run: Path):
    (run / "config.yaml").write_text("model: {name: scGPT}", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"config\.yaml: model class 'scGPT'; wanted State's ST model"):
        read_run_folder(run)


def test_weights_of_another_class_are_refused_by_what_they_hold(run: Path):
    rewrite(run / CHECKPOINT, state_dict={"decoder.weight": torch.ones(2, 2), "cls.weight": torch.ones(2)})
    with pytest.raises(RunFolderError, match="the checkpoint holds cls, decoder; wanted a StateTransition"):
        read_run_folder(run)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}}, {"state_dict": {"a": 1}, "hyper_parameters": {}}])
def test_a_file_that_is_no_checkpoint_is_refused(run: Path, content: object):
    torch.save(content, run / CHECKPOINT)
    with pytest.raises(RunFolderError, match=r"best\.ckpt: (holds|state_dict holds)"):
        read_run_folder(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cell_set_len", "many"), ("hidden_dim", 1.5), ("transformer_backbone_kwargs", None), ("lora", "on")],
)
def test_hyperparameters_of_another_type_are_refused_by_name(run: Path, name: str, value: object):
    hyperparameters = torch.load(run / CHECKPOINT, weights_only=False)["hyper_parameters"]
    rewrite(run / CHECKPOINT, hyper_parameters=hyperparameters | {name: value})
    with pytest.raises(
        RunFolderError, match=rf"best\.ckpt: hyperparameter {name} = .*; wanted a .*take it from the run"
    ):
        read_run_folder(run)


@pytest.mark.parametrize("name", ["config.yaml", "split.toml", CHECKPOINT, "pert_onehot_map.pt", "var_dims.pkl"])
def test_a_folder_in_place_of_a_file_is_named(run: Path, name: str):
    (run / name).unlink()
    (run / name).mkdir()
    with pytest.raises(RunFolderError, match=r"config\.yaml|split\.toml|checkpoints|pert_onehot_map|var_dims"):
        read_run_folder(run)


def test_broken_yaml_is_named(run: Path):
    (run / "config.yaml").write_text("model: [", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"config\.yaml: no valid YAML"):
        read_run_folder(run)


def test_yaml_that_would_make_objects_is_refused(run: Path):
    (run / "config.yaml").write_text("model: !!python/object/apply:os.mkdir [victim]", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"config\.yaml: no valid YAML"):
        read_run_folder(run)


def test_names_with_terminal_escapes_are_shown_inert(run: Path):
    rewrite(run / "var_dims.pkl", gene_names=["\x1b[31mred"] * SHAPE.genes)
    with pytest.raises(RunFolderError, match=r"duplicate genes: \\x1b\[31mred"):
        read_run_folder(run)
