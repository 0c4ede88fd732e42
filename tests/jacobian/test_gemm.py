from __future__ import annotations

from math import nan
from operator import attrgetter

import pytest
import torch

from jacprobe.errors import InputError
from jacprobe.jacobian import gemm
from jacprobe.jacobian.gemm import CLEARLY_FASTER, SWITCHES, Gemm, choose, fastest, probe

CPU = torch.device("cpu")


@pytest.mark.parametrize("way", ["torch", "numpy", "onednn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("left", "right"), [((4, 5), (5, 6)), ((4, 5), (3, 5, 6)), ((2, 3, 4, 5), (2, 3, 5, 6))])
def test_every_way_multiplies_as_einsum_does(way, dtype, left, right):
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.empty(shape, dtype=torch.float64).normal_(generator=rng) for shape in (left, right))
    exact = torch.einsum("...ij,...jk->...ik", a, b)
    out = torch.empty(exact.shape, dtype=dtype)
    with Gemm(way).switched():
        Gemm(way).matmul(a.to(dtype), b.to(dtype), out=out)
    torch.testing.assert_close(out.double(), exact, rtol=0, atol=5 * torch.finfo(dtype).eps * float(exact.abs().max()))


def test_the_switch_is_put_back_even_after_an_error():
    switch = attrgetter("matmul.fp32_precision")
    before = switch(torch.backends.mkldnn)
    with pytest.raises(KeyError), Gemm("onednn").switched():
        raise KeyError
    assert switch(torch.backends.mkldnn) == before


def test_an_inaccurate_way_is_never_chosen_however_fast():
    default, good, wrong = Gemm("torch", 100, 3e-7), Gemm("numpy", 200, 3e-7), Gemm("onednn", 900, 2e-3)
    assert fastest((default, good, wrong)) is good
    assert fastest((default, wrong)) is default


def test_the_default_stays_unless_another_is_clearly_faster():
    default = Gemm("torch", 100, 3e-7)
    assert fastest((default, Gemm("numpy", 99 * CLEARLY_FASTER, 3e-7))) is default


def test_a_way_that_rounds_to_bf16_shows_in_its_error():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(300, 300, generator=rng), torch.randn(300, 300, generator=rng)
    exact = a.double() @ b.double()
    rounded = (a.bfloat16().float() @ b.bfloat16().float()).double()
    error = float((rounded - exact).norm() / exact.norm())
    assert fastest((Gemm("torch", 100, 3e-7), Gemm("onednn", 900, error))).way == "torch"


def test_the_probe_measures_every_way_once():
    found = probe()
    assert [g.way for g in found] == ["torch", "numpy", "onednn"]
    assert all(g.gflops > 0 and g.error < 1e-2 for g in found)
    assert probe() is found
    assert choose(CPU, torch.float32) in found


def test_a_models_own_modules_get_a_way_that_torch_can_be_switched_to(monkeypatch):
    found = (Gemm("torch", 90, 3e-7), Gemm("numpy", 220, 3e-7), Gemm("onednn", 190, 6e-7))
    monkeypatch.setattr(gemm, "probe", lambda: found)
    assert choose(CPU, torch.float32).way == "numpy"
    assert choose(CPU, torch.float32, among=SWITCHES).way == "onednn"


def test_only_fp32_on_a_cpu_has_a_choice():
    assert choose(CPU, torch.float64).way == "torch"
    assert choose(torch.device("cuda"), torch.float32) == choose(torch.device("cuda"), torch.float32, "torch")


@pytest.mark.parametrize(("device", "way"), [("cpu", "blis"), ("cuda", "numpy")])
def test_a_way_that_does_not_exist_here_is_refused(device, way):
    with pytest.raises(InputError, match=f"gemm '{way}'"):
        choose(torch.device(device), torch.float32, way)


def test_the_way_and_its_error_stand_in_provenance_but_no_rate_which_is_never_twice_the_same():
    assert str(Gemm("numpy", 211.4, 3.1e-7)) == "numpy (error 3e-07)"
    assert str(Gemm("numpy", nan, nan)) == "numpy"
