"""The demo and its replicate of another seed: what flips is what truth and controls imply, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from jacprobe.commands.regression import compare_ledgers
from jacprobe.judging import Judging
from jacprobe.opening import open_study
from jacprobe.suite import load_rows, suite_root
from jacprobe.verdicts.chain import broken, chained
from jacprobe.verdicts.comparison import Basis, Outcome
from jacprobe.verdicts.ledger import read_ledger, write_ledger

# Planted in the cells, which both trainings saw: true of either, whatever its seed.
TRUE_OF_BOTH = (
    "nb02-splicing-coherent",
    "nb02-ribosome-coherent",
    "nb02-mitoribosome-coherent",
    "nb02-trappc3-nearest-is-trappc5",
    "nb02-myc-nearest-is-max",
    # Against a replicate of the seed: it is now compared with itself, and still more alike than with another line.
    "nb06-response-agreement-below-training-seed",
    # What zeroshot saw in training has nothing to do with the model in question.
    "nb06-zeroshot-saw-no-hepg2-knockdown",
)
# Said of what the model shares with shared-seed/jurkat, its initialisation. The replicate began from another seed, so
# its coordinates and its knockout responses have nothing of that model's.
OF_THE_SEED = ("nb02-coordinate-agreement-is-initialisation", "nb04-agreement-is-training-seed")


def judged(path: Path, store: Path, **given: Path) -> Path:
    rows = load_rows(suite_root() / "claims")
    model = {role.replace("_", "/"): run for role, run in given.items()}
    judging = Judging(open_study("demo", store=store, model=model), rows)
    write_ledger(path, chained([judging.record(rows[name]) for name in (*TRUE_OF_BOTH, *OF_THE_SEED)]))
    return path


@pytest.mark.slow
def test_the_replicate_of_another_seed_flips_what_is_said_of_the_seed_and_nothing_that_was_planted(tmp_path):
    store, replicate = tmp_path / "store", suite_root() / "fixtures/studies/demo/models/seed-replicate"
    old = judged(tmp_path / "old.jsonl", store)
    new = judged(tmp_path / "new.jsonl", store, fewshot_hepg2=replicate)
    assert broken(read_ledger(new)) is None
    compared = compare_ledgers([old, new], store)
    (found,) = compared.comparisons
    assert {flip.id for flip in found.flips} == set(OF_THE_SEED)
    assert {flip.basis for flip in found.flips} == {Basis.PAIRED}, [flip.why for flip in found.flips]
    assert {change.id for change in found.of(Outcome.SAME)} == set(TRUE_OF_BOTH)
    # Without the store the same flips are found from the ledgers alone, and say that they are.
    (alone,) = compare_ledgers([old, new], tmp_path / "no-store").comparisons
    assert {flip.id for flip in alone.flips} == set(OF_THE_SEED)
    assert {flip.basis for flip in alone.flips} == {Basis.UNPAIRED}
    assert all("is not in the store" in flip.why for flip in alone.flips)
