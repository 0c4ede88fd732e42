from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
import torch
import yaml

from jacprobe.demo.strip import CHECKPOINT, compact_onehots, strip_run
from jacprobe.errors import RunFolderError

if TYPE_CHECKING:
    from pathlib import Path

HOME = "/home/someone/study"
SPLIT = f'[datasets]\nreplogle = "{HOME}/study.h5ad"\n\n[training]\nreplogle = "train"\n'


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run folder as training leaves it, with paths, optimiser state and tracking in it."""
    run = tmp_path / "trained"
    (run / "checkpoints").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    checkpoint = {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.6",
        "state_dict": {"pert_encoder.0.weight": torch.randn(4, 3, generator=generator)},
        "hyper_parameters": {"hidden_dim": 4, "wandb_track": True, "nested": {"wandb": 1, "blur": 0.05}},
        "optimizer_states": [{"exp_avg": torch.zeros(4000)}],
        "callbacks": {"ModelCheckpoint": {"dirpath": HOME}},
    }
    torch.save(checkpoint, run / CHECKPOINT)
    torch.save(dict(zip("abc", torch.eye(3), strict=True)), run / "pert_onehot_map.pt")
    for name in ("batch_onehot_map.torch", "cell_type_onehot_map.torch", "var_dims.pkl"):
        (run / name).write_bytes(name.encode())
    (run / "data_module.torch").write_text(HOME)
    config = {
        "data": {"kwargs": {"toml_config_path": f"{HOME}/split.toml", "embed_key": "X_hvg"}},
        "model": {"kwargs": {"hidden_dim": 4}},
        "wandb": {"entity": "someone"},
        "use_wandb": False,
        "output_dir": HOME,
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    return run


def test_weights_stay_bit_for_bit_and_traces_go(trained: Path, tmp_path: Path):
    before = torch.load(trained / CHECKPOINT, weights_only=True)["state_dict"]
    strip_run(trained, SPLIT, tmp_path / "stripped")
    after = torch.load(tmp_path / "stripped" / CHECKPOINT, weights_only=True)
    assert after["state_dict"].keys() == before.keys()
    assert all(torch.equal(after["state_dict"][name], weight) for name, weight in before.items())
    assert after["hyper_parameters"] == {"hidden_dim": 4, "nested": {"blur": 0.05}}
    assert "optimizer_states" not in after
    written = [path for path in (tmp_path / "stripped").rglob("*") if path.is_file()]
    assert {path.name for path in written} == {
        "best.ckpt", "config.yaml", "split.toml", "var_dims.pkl",
        "pert_onehot_map.pt", "batch_onehot_map.torch", "cell_type_onehot_map.torch",
    }  # fmt: skip
    content = b"".join(path.read_bytes() for path in written)
    assert b"someone" not in content
    assert b"wandb" not in content


def test_configuration_and_split_keep_what_describes_the_model(trained: Path, tmp_path: Path):
    strip_run(trained, SPLIT, tmp_path / "stripped")
    config = yaml.safe_load((tmp_path / "stripped" / "config.yaml").read_text())
    assert config["data"]["kwargs"] == {"toml_config_path": "split.toml", "embed_key": "X_hvg"}
    assert config["model"] == {"kwargs": {"hidden_dim": 4}}
    split = tomllib.loads((tmp_path / "stripped" / "split.toml").read_text())
    assert split == {"datasets": {"replogle": "study.h5ad"}, "training": {"replogle": "train"}}


def test_an_unfinished_run_is_refused_and_nothing_is_written(trained: Path, tmp_path: Path):
    (trained / "var_dims.pkl").unlink()
    with pytest.raises(RunFolderError, match=r"no var_dims\.pkl; wanted a finished training run"):
        strip_run(trained, SPLIT, tmp_path / "stripped")
    assert not (tmp_path / "stripped").exists()


def test_compact_onehots_are_equal_and_small(tmp_path: Path):
    onehots = dict(zip(map(str, range(300)), torch.eye(300), strict=True))
    compact = compact_onehots(onehots)
    assert all(torch.equal(compact[name], vector) for name, vector in onehots.items())
    torch.save(compact, tmp_path / "map.pt")
    read = torch.load(tmp_path / "map.pt", weights_only=True)
    assert all(torch.equal(read[name], vector) for name, vector in onehots.items())
    assert (tmp_path / "map.pt").stat().st_size < 300 * 300 * 4 / 4


def test_vectors_that_are_not_onehot_are_refused():
    with pytest.raises(RunFolderError, match="the vector of b is not one-hot"):
        compact_onehots({"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([1.0, 1.0])})
