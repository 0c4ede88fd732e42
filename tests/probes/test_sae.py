from __future__ import annotations

import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from jacprobe.errors import InputError
from jacprobe.probes.sae import load_sae

D, F = 6, 10


def weights(**changes):
    rng = torch.Generator().manual_seed(0)
    made = {
        "W_enc": torch.randn(D, F, generator=rng),
        "b_enc": torch.randn(F, generator=rng),
        "W_dec": torch.randn(F, D, generator=rng),
        "b_dec": torch.randn(D, generator=rng),
        "threshold": torch.rand(F, generator=rng),
    } | changes
    return {name: tensor for name, tensor in made.items() if tensor is not None}


def written(folder, cfg, tensors=None):
    (folder / "cfg.json").write_text(json.dumps({"d_in": D, "d_sae": F} | cfg))
    save_file(weights() if tensors is None else tensors, folder / "sae_weights.safetensors")
    return folder


def by_hand(cfg, x):
    """Cell by cell, feature by feature, from SAELens' definitions."""
    w = {name: tensor.double() for name, tensor in weights().items()}
    out = torch.zeros(len(x), F, dtype=torch.float64)
    for i, cell in enumerate(x.double()):
        z = [
            float((cell - w["b_dec"] * cfg.get("apply_b_dec_to_input", True)) @ w["W_enc"][:, f] + w["b_enc"][f])
            for f in range(F)
        ]
        for f in range(F):
            if "k" in cfg and sum(other > z[f] for other in z) >= cfg["k"]:
                continue
            if cfg.get("architecture") == "jumprelu" and z[f] <= w["threshold"][f]:
                continue
            out[i, f] = max(z[f], 0)
    return out


@pytest.mark.parametrize(
    "cfg",
    [
        {"architecture": "standard"},
        {"architecture": "standard", "apply_b_dec_to_input": False},
        {"architecture": "topk", "k": 3},
        {"architecture": "jumprelu"},
    ],
    ids=str,
)
def test_features_are_those_of_the_definition(tmp_path, cfg):
    x = torch.randn(4, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = load_sae(written(tmp_path, cfg)).encode(x)
    torch.testing.assert_close(found, by_hand(cfg, x))
    assert found.any()


def test_the_older_spelling_of_top_k_is_read(tmp_path):
    cfg = {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    x = torch.randn(4, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(load_sae(written(tmp_path, cfg)).encode(x), by_hand({"k": 3}, x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_disk_is_single_precision_in_use(tmp_path, dtype):
    halves = {name: tensor.to(dtype) for name, tensor in weights().items()}
    sae = load_sae(written(tmp_path, {"architecture": "standard"}, halves))
    assert {part.dtype for part in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)} == {torch.float32}
    x = torch.randn(4, D, generator=torch.Generator().manual_seed(1))
    z = (x.double() - halves["b_dec"].double()) @ halves["W_enc"].double() + halves["b_enc"].double()
    torch.testing.assert_close(sae.encode(x).double(), z.relu(), rtol=1e-5, atol=1e-5)


def test_features_are_rendered_by_the_decoder(tmp_path):
    sae = load_sae(written(tmp_path, {}))
    features = torch.rand(3, F, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    w = weights()
    wanted = [sum(row[f] * w["W_dec"][f].double() for f in range(F)) + w["b_dec"].double() for row in features]
    torch.testing.assert_close(sae.decode(features), torch.stack(wanted))


def test_the_hash_is_of_both_files(tmp_path):
    first = load_sae(written(tmp_path, {})).sha256
    assert load_sae(written(tmp_path, {})).sha256 == first
    assert load_sae(written(tmp_path, {"apply_b_dec_to_input": False})).sha256 != first
    assert load_sae(written(tmp_path, {}, weights(b_dec=torch.zeros(D)))).sha256 != first


@pytest.mark.parametrize(
    ("cfg", "changes", "message"),
    [
        ({}, {"W_dec": None}, "no W_dec among"),
        ({}, {"b_enc": torch.zeros(F + 1)}, rf"b_enc of shape \({F + 1},\)"),
        ({}, {"W_enc": torch.zeros(D)}, "W_enc of shape"),
        ({}, {"b_dec": torch.full((D,), torch.nan)}, "not finite in b_dec"),
        ({"d_sae": 99}, {}, r"says d_in, d_sae = \(6, 99\)"),
        ({"architecture": "gated"}, {}, "architecture 'gated'"),
        ({"architecture": "topk"}, {}, "top-k with k = 0"),
        ({"architecture": "topk", "k": 11}, {}, "k = 11 of 10 features"),
        ({"architecture": "jumprelu"}, {"threshold": None}, "threshold of shape nothing"),
        ({"normalize_activations": "layer_norm"}, {}, "normalize_activations = 'layer_norm'"),
        ({"rescale_acts_by_decoder_norm": True}, {}, "rescale_acts_by_decoder_norm = True"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(tmp_path, cfg, changes, message):
    with pytest.raises(InputError, match=message):
        load_sae(written(tmp_path, cfg, weights(**changes)))


OPTIONS = ["architecture", "activation_fn", "activation_fn_str", "activation_fn_kwargs", "k", "d_in", "d_sae"]
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["topk", "jumprelu", "relu"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from([*OPTIONS, "normalize_activations"]), VALUES | st.lists(VALUES, max_size=2)))
def test_whatever_cfg_holds_is_read_or_refused(tmp_path, cfg):
    try:
        sae = load_sae(written(tmp_path, cfg))
    except InputError:
        return
    assert sae.encode(torch.zeros(2, D)).shape == (2, F)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_whatever_the_weights_file_holds_is_refused(tmp_path, content):
    written(tmp_path, {})
    (tmp_path / "sae_weights.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"safetensors|among"):
        load_sae(tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no safetensors file"):
        load_sae(tmp_path)
    written(tmp_path, {})
    whole = (tmp_path / "sae_weights.safetensors").read_bytes()
    (tmp_path / "sae_weights.safetensors").write_bytes(whole[:-7])
    with pytest.raises(InputError, match="not readable as safetensors"):
        load_sae(tmp_path)
    (tmp_path / "cfg.json").write_text("{")
    with pytest.raises(InputError, match=r"cfg\.json: not readable"):
        load_sae(tmp_path)
    (tmp_path / "cfg.json").write_text("[]")
    with pytest.raises(InputError, match="a list; wanted an object"):
        load_sae(tmp_path)
