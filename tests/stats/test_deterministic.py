import numpy as np
import pytest

from jacprobe.errors import InputError
from jacprobe.stats import exact


def test_the_largest_absolute_deviation_counts():
    estimate = exact(np.array([1e-7, -3e-6]), tol=1e-5)
    assert (estimate.effect, estimate.n, estimate.diagnostics["tolerance"]) == (3e-6, 2, 1e-5)


def test_a_count_is_taken_as_it_is(rng):
    estimate = exact(4, 0, rng, n=449)
    assert (estimate.effect, estimate.n) == (4.0, 449)
    assert estimate.p is None
    assert estimate.ci is None
    assert estimate.nulls == ()


def test_what_is_no_number_is_refused():
    with pytest.raises(InputError, match="1 values that are not finite"):
        exact(float("nan"))
    with pytest.raises(InputError, match="an empty array"):
        exact(np.array([]))
