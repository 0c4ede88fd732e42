"""Sparse autoencoders as SAELens writes them: a folder with `cfg.json` and safetensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.errors import InputError
from jacprobe.texts import parse_json, read_text, require_regular

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["relu", "topk", "jumprelu"]

_TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec")
# Options that change the encoder, each with the values under which it is the one below.
_COVERED: dict[str, tuple[object, ...]] = {
    "normalize_activations": (None, "none"),
    "reshape_activations": (None, "none"),
    "finetuning_scaling_factor": (None, False),
    "rescale_acts_by_decoder_norm": (None, False),
}


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    """features = activation((x - b_dec) W_enc + b_enc); b_dec is left out where `centred` is False.

    Attributes
    ----------
    W_enc, b_enc, W_dec, b_dec
        [D, F], [F], [F, D], [D].
    activation
        "relu", "topk" (the k largest, then relu) or "jumprelu" (zero up to each feature's threshold).
    k
        Of "topk".
    threshold
        Of "jumprelu": [F].
    centred
        Whether b_dec is subtracted from the input.
    sha256
        Hash of both files.
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    activation: Activation
    k: int = 0
    threshold: Tensor | None = None
    centred: bool = True
    sha256: str = ""

    def encode(self, x: Tensor) -> Tensor:
        """Return the features of activations: [..., D] -> [..., F], in the device and dtype of `x`."""
        W, b, offset = (part.to(x) for part in (self.W_enc, self.b_enc, self.b_dec))
        z = torch.nn.functional.linear(x - offset if self.centred else x, W.mT, b)
        if self.activation == "topk":
            values, index = z.topk(self.k, dim=-1)
            return torch.zeros_like(z).scatter(-1, index, values.relu())
        if self.threshold is not None:
            return torch.where(z > self.threshold.to(x), z.relu(), 0)
        return z.relu()

    def decode(self, features: Tensor) -> Tensor:
        """Return what features stand for: [..., F] -> [..., D], in the device and dtype of `features`."""
        return features @ self.W_dec.to(features) + self.b_dec.to(features)


def load_sae(folder: str | Path) -> SparseAutoencoder:
    """Read a sparse autoencoder from a folder with `cfg.json` and one safetensors file.

    Raises
    ------
    InputError
        A file is missing, damaged or contradicts the other; the encoder is of a kind that is not covered.
    """
    folder = Path(folder)
    cfg_path, weights_path = folder / "cfg.json", _weights_path(folder)
    cfg = _read_cfg(cfg_path)
    tensors = _read_tensors(weights_path)
    activation, k = _activation(cfg, cfg_path)
    for option, covered in _COVERED.items():
        if cfg.get(option) not in covered:
            raise InputError(f"{option} = {cfg[option]!r}", " or ".join(map(repr, covered)), where=cfg_path)
    _check_shapes(tensors, cfg, activation, k, weights_path)
    digest = hashlib.sha256(cfg_path.read_bytes() + weights_path.read_bytes()).hexdigest()
    return SparseAutoencoder(
        **{name: tensors[name] for name in _TENSORS},
        activation=activation,
        k=k,
        threshold=tensors["threshold"] if activation == "jumprelu" else None,
        centred=bool(cfg.get("apply_b_dec_to_input", True)),
        sha256=digest,
    )


def _weights_path(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        given = f"{len(found)} safetensors files" if found else "no safetensors file"
        raise InputError(given, "one, with W_enc, b_enc, W_dec and b_dec", where=folder)
    return found[0]


def _read_cfg(path: Path) -> dict[str, Any]:
    try:
        cfg = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise InputError(f"not readable ({error})", "the cfg.json that SAELens writes", where=path) from error
    if not isinstance(cfg, dict):
        raise InputError(f"a {type(cfg).__name__}", "an object with the options of the autoencoder", where=path)
    return cfg


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        require_regular(path)
        tensors = load_file(path)
    except (OSError, SafetensorError, UnicodeError) as error:
        raise InputError(f"not readable as safetensors ({error})", "a whole file", "Copy it again.", path) from error
    missing = [name for name in _TENSORS if name not in tensors]
    if missing:
        raise InputError(f"no {', '.join(missing)} among {', '.join(sorted(tensors))}", "SAELens' names", where=path)
    odd = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if odd:
        raise InputError(f"{', '.join(odd)} of type {tensors[odd[0]].dtype}", "floating-point weights", where=path)
    # Half precision saves disk; sums over hundreds of features want more.
    tensors = {name: tensor.float() if tensor.itemsize < 4 else tensor for name, tensor in tensors.items()}
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise InputError(f"values that are not finite in {', '.join(broken)}", "finite weights", where=path)
    return tensors


def _activation(cfg: dict[str, Any], path: Path) -> tuple[Activation, int]:
    """Return the kind of encoder; SAELens names it `architecture`, before version 6 with an activation function."""
    kind = str(cfg.get("architecture", "standard")).lower()
    function = str(cfg.get("activation_fn", cfg.get("activation_fn_str", "relu"))).lower()
    options = cfg.get("activation_fn_kwargs") or {}
    k = cfg.get("k", options.get("k", 0) if isinstance(options, dict) else 0)
    if kind == "jumprelu":
        return "jumprelu", 0
    if kind == "topk" or (kind == "standard" and function == "topk"):
        if not isinstance(k, int) or k < 1:
            raise InputError(f"top-k with k = {k!r}", "a whole number of at least 1", where=path)
        return "topk", k
    if kind == "standard" and function == "relu":
        return "relu", 0
    raise InputError(
        f"architecture {kind!r} with activation {function!r}", "standard (relu or topk), topk or jumprelu", where=path
    )


def _check_shapes(tensors: dict[str, Tensor], cfg: dict[str, Any], activation: str, k: int, path: Path) -> None:
    if tensors["W_enc"].dim() != 2:
        raise InputError(f"W_enc of shape {tuple(tensors['W_enc'].shape)}", "[d_in, d_sae]", where=path)
    d_in, d_sae = tensors["W_enc"].shape
    wanted = {"b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    if activation == "jumprelu":
        wanted["threshold"] = (d_sae,)
    for name, shape in wanted.items():
        given = tuple(tensors[name].shape) if name in tensors else "nothing"
        if given != shape:
            raise InputError(f"{name} of shape {given} beside W_enc of {(d_in, d_sae)}", f"{shape}", where=path)
    said = (cfg.get("d_in", d_in), cfg.get("d_sae", d_sae))
    if said != (d_in, d_sae):
        raise InputError(f"cfg.json says d_in, d_sae = {said}", f"{(d_in, d_sae)}, as the weights have", where=path)
    if k > d_sae:
        raise InputError(f"top-k with k = {k} of {d_sae} features", f"at most {d_sae}", where=path)
