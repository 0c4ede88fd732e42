from __future__ import annotations

import hashlib
import os
import pickle
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, write_run_folder
from jacprobe.errors import RunFolderError
from jacprobe.models.doctor import Report, doctor

SHAPE = Shape()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "fewshot-hepg2", SHAPE, rng=np.random.default_rng(0))


def faults(report: Report) -> dict[str, str]:
    return {fault.about: f"{fault.found} -> {fault.mend}" for fault in report.faults}


def notes(report: Report) -> str:
    return "\n".join(f"{remark.about}: {remark.found}" for remark in report.remarks if remark.kind == "note")


def test_a_sound_folder_has_every_file_with_size_and_hash_and_no_fault(run: Path):
    report = doctor(run)
    files = sorted(path for path in run.rglob("*") if path.is_file())
    assert [file.path for file in report.files] == [path.relative_to(run).as_posix() for path in files]
    for entry, path in zip(report.files, files, strict=True):
        assert entry.size == path.stat().st_size
        assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.faults == ()
    text = report.text()
    assert "30 genes, 12 perturbations, 3 batches" in text
    assert text.endswith("no faults")


def test_a_flagless_checkpoint_is_noted(tmp_path: Path):
    report = doctor(
        write_run_folder(tmp_path, SHAPE, rng=np.random.default_rng(0), flag=None, layout="2025", split="none")
    )
    assert report.faults == ()
    assert "no flag bidirectional_attention (a checkpoint of 2025)" in notes(report)
    assert "split TOML: no split TOML in the folder" in notes(report)


class MakeFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_every_fault_of_a_broken_folder_is_found_in_one_go_and_no_code_is_run(run: Path):
    victim = run / "victim"
    torch.save({"toml_config_path": MakeFolder(victim)}, run / "data_module.torch")
    (run / "var_dims.pkl").write_bytes(pickle.dumps({"gene_names": [f"G{i}" for i in range(62_710)]}))
    torch.save({f"KD{i}": row.clone() for i, row in enumerate(torch.eye(13))}, run / "pert_onehot_map.pt")
    (run / "batch_onehot_map.torch").unlink()
    (run / "config.yaml").write_text("model: {name: cpa}", encoding="utf-8")
    (run / "split.toml").write_text("[fewshot", encoding="utf-8")
    broken = run / "checkpoints" / "last.ckpt"
    broken.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes()[:5000])
    found = faults(doctor(run))
    assert not victim.exists()
    assert "mkdir" in found["data_module.torch"]
    assert "62,710 in var_dims.pkl; wanted 30 names" in found["var_dims.pkl"]
    assert "names 13 perturbations; wanted 12" in found["pert_onehot_map.pt"]
    assert "Copy it from the run" in found["batch_onehot_map.*"]
    assert "model class 'cpa'" in found["config.yaml"]
    assert "no valid TOML" in found["split.toml"]
    assert "damaged" in found["checkpoints/last.ckpt"]
    assert found.keys().isdisjoint({"checkpoints/best.ckpt", "cell_type_onehot_map.torch"})


def test_a_checkpoint_that_contradicts_its_hyperparameters_is_found(run: Path):
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["hyper_parameters"] |= {"pert_dim": 2024, "confidence_token": True}
    content["state_dict"]["project_out.0.bias"][3] = torch.nan
    torch.save(content, run / "checkpoints" / "best.ckpt")
    text = doctor(run).text()
    assert "hyperparameter pert_dim = 2024, while the weights are made for 12" in text
    assert "hyperparameter confidence_token = True" in text
    assert "weights that are not finite" in text
    assert text.endswith("3 faults to be mended")


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"hidden_dim": 17}, "does not fit the hyperparameters"), ({"loss": "none such"}, "arc-state cannot build")],
)
def test_what_only_loading_shows_is_found(run: Path, changes: dict[str, object], found: str):
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    content["hyper_parameters"] |= changes
    torch.save(content, run / "checkpoints" / "best.ckpt")
    assert found in faults(doctor(run))["checkpoints/best.ckpt"]


def test_without_arc_state_the_files_are_examined_all_the_same(run: Path, monkeypatch: pytest.MonkeyPatch):
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("jacprobe.models.doctor.version", absent)
    report = doctor(run)
    assert report.faults == ()
    assert "environment: arc-state is not installed" in notes(report)


def test_an_empty_folder_lacks_everything(tmp_path: Path):
    report = doctor(tmp_path)
    assert report.files == ()
    assert faults(report).keys() == {"checkpoints", "pert_onehot_map.*"}


def test_other_checkpoints_than_best_are_named(run: Path):
    (run / "checkpoints" / "best.ckpt").rename(run / "checkpoints" / "step=9.ckpt")
    assert "no best.ckpt, the default" in notes(doctor(run))


def test_paths_of_the_machine_where_a_run_was_made_are_noted(run: Path):
    torch.save({"toml_config_path": "/home/someone/split.toml"}, run / "data_module.torch")
    assert "data_module.torch: holds paths of the machine" in notes(doctor(run))


def test_names_are_shown_inert(run: Path):
    (run / "\x1b[31mred.txt").write_text("x", encoding="utf-8")
    assert "\x1b" not in doctor(run).text()


def test_no_folder_is_an_error(tmp_path: Path):
    with pytest.raises(RunFolderError, match="nowhere: no such folder"):
        doctor(tmp_path / "nowhere")
