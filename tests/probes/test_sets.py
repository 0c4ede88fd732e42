from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError, JacprobeError
from jacprobe.probes.sets import encode, in_passes


def recorded(compute):
    """Return `compute` and the sizes of the passes that it saw."""
    sizes = []

    def seen(items):
        sizes.append(len(items))
        return compute(items)

    return seen, sizes


@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_items_are_computed_each_in_its_place(n):
    items = torch.arange(n * 2.0).reshape(n, 2)
    assert torch.equal(in_passes(lambda part: part**2, items, cells=64), items**2)


def test_every_pass_has_the_same_size():
    compute, sizes = recorded(lambda part: part + 1)
    in_passes(compute, torch.arange(9.0), cells=64)
    assert set(sizes) == {4}
    compute, sizes = recorded(lambda part: part + 1)
    in_passes(compute, torch.arange(3.0), cells=1000)
    assert set(sizes) == {1}


def test_passes_are_shortened_until_the_position_does_not_matter():
    compute, sizes = recorded(lambda part: part + 1e-7 * (torch.arange(len(part)) >= 2))
    found = in_passes(compute, torch.arange(9.0), cells=32)
    assert torch.equal(found, torch.arange(9.0))
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


def test_the_pass_that_tries_the_places_serves_the_first_item():
    compute, sizes = recorded(lambda part: part + 1)
    assert torch.equal(in_passes(compute, torch.arange(5.0), cells=64), torch.arange(5.0) + 1)
    assert sizes == [4, 4]
    compute, sizes = recorded(lambda part: part + 1)
    assert torch.equal(in_passes(compute, torch.arange(2.0), cells=64, size=1), torch.arange(2.0) + 1)
    assert sizes == [1, 1]


def test_all_items_are_computed_in_passes_of_one_length_when_memory_runs_out_later():
    """Of other lengths they might have other bits."""

    def short_of_memory(part):
        if len(part) > 2 and part[0] != 0:
            raise torch.OutOfMemoryError("pretended")
        return part + len(part)

    assert torch.equal(in_passes(short_of_memory, torch.arange(9.0), cells=64), torch.arange(9.0) + 2)


def test_out_of_memory_shortens_the_passes_and_says_so(caplog):
    def short(part):
        if len(part) > 1:
            raise torch.OutOfMemoryError("pretended")
        return part + 1

    assert torch.equal(in_passes(short, torch.arange(3.0), cells=64), torch.arange(3.0) + 1)
    caplog.clear()

    calls = []

    def shorter_later(part):
        calls.append(len(part))
        if len(part) > 2 and len(calls) > 1:
            raise torch.OutOfMemoryError("pretended")
        return part + 1

    with caplog.at_level(logging.WARNING):
        found = in_passes(shorter_later, torch.arange(9.0), cells=64)
    assert torch.equal(found, torch.arange(9.0) + 1)
    assert [r.getMessage() for r in caplog.records] == ["out of memory: sets of cells in one pass: now 2, not 4"]


def test_no_memory_for_one_set_is_an_error():
    def never(_part):
        raise MemoryError

    with pytest.raises(JacprobeError, match="out of memory for a single set of cells"):
        in_passes(never, torch.arange(3.0), cells=64)


def test_other_errors_pass_through():
    def wrong(_part):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        in_passes(wrong, torch.arange(3.0), cells=64)


def test_cells_are_encoded_as_the_model_does_and_left_as_they_were():
    model, cells = build(), control_cells()
    cells.setflags(write=False)
    prepared = encode(model, cells)
    torch.testing.assert_close(prepared.encoded, model.encode_cells(torch.from_numpy(cells.copy())[None])[0])
    assert prepared.vectors.shape == (7, 12)
    np.testing.assert_array_equal(prepared.values, cells)


def test_a_model_without_vectors_is_refused():
    with pytest.raises(InputError, match="object, which is not differentiable in pert"):
        encode(object(), control_cells())
