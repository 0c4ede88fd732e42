"""Blocks and shards: every name once, and what shards miss or do twice is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacprobe.collect import Shard, Task, missing_of, of_shard, require_whole, tasks
from jacprobe.errors import InputError
from jacprobe.requests import Delta, Jacobian
from tests.cluster.conftest import chunks

NAMES = tuple(f"KD{i}" for i in range(100))
TASKS = [
    Task(Delta("a"), NAMES),
    Task(Jacobian("a"), NAMES[:7]),
    Task(Delta("b"), NAMES),
    Task(Jacobian("b"), NAMES[:7]),
]


def test_blocks_are_what_is_computed_together():
    assert [len(block.names) for block in TASKS[0].blocks] == [32, 32, 32, 4]
    assert [block.names for block in TASKS[1].blocks] == [(name,) for name in NAMES[:7]]


@given(n=st.integers(1, 40), kds=st.integers(1, 100))
def test_shards_do_every_name_once_and_alike(n, kds):
    todo = [replace(task, names=task.names[:kds]) for task in TASKS]
    parts = [of_shard(todo, Shard(i, n)) for i in range(1, n + 1)]
    for task in todo:
        dealt = [name for part in parts for own in part if own.request == task.request for name in own.names]
        assert sorted(dealt) == sorted(task.names)
    jacobians = [sum(len(own.names) for own in part if own.probe == "jacobian") for part in parts]
    assert max(jacobians) - min(jacobians) <= 1
    require_whole(todo, [Shard(i, n) for i in range(1, n + 1)])


def test_shards_that_miss_and_overlap_are_named():
    with pytest.raises(InputError, match=r"nobody does delta a draw 0 KD32, .*and \d+ more; wanted shards 1/n to n/n"):
        require_whole(TASKS, [Shard(1, 2)])
    with pytest.raises(InputError, match="1/2 and 1/3 both do delta a draw 0 KD0, delta a draw 0 KD1"):
        require_whole(TASKS, [Shard(1, 2), Shard(2, 2), Shard(1, 3)])
    with pytest.raises(InputError, match="2/2 and 2/2 both do"):
        require_whole(TASKS, [Shard(1, 2), Shard(2, 2), Shard(2, 2)])


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "1.0/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(InputError, match=r"wanted i/n with i from 1 to n"):
        Shard.parse(text)


@pytest.mark.slow
def test_array_jobs_fill_a_store_and_a_missing_one_is_named(jacprobe, small_study, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert jacprobe("collect", small_study, "--store", whole).returncode == 0
    for i in (1, 3):
        run = jacprobe("collect", small_study, "--store", parts, "--shard", f"{i}/3")
        assert run.returncode == 0, run.stderr
    look = ("store", "missing", small_study, "--store", parts)
    told = jacprobe(*look)
    assert told.returncode == 1
    assert "jacobian small draw 0: 4 missing: GENE2, GENE8, GENE14, GENE20" in told.stdout
    assert jacprobe("collect", small_study, "--store", parts, "--shard", "2/3").returncode == 0
    done = jacprobe(*look)
    assert (done.returncode, done.stdout) == (0, "0 missing\n")
    assert chunks(parts) == chunks(whole)


def test_a_plan_of_shards_that_miss_some_is_refused(jacprobe, small_study, tmp_path):
    run = jacprobe("plan", small_study, "--store", tmp_path, "--shard", "1/3", "--shard", "2/3")
    assert run.returncode == 2
    assert "nobody does" in run.stderr
    assert "jacobian small draw 0 GENE4" in run.stderr


def test_what_a_store_lacks_is_found_without_reading_it(small_study, tmp_path):
    from jacprobe.opening import open_study

    study = open_study(small_study, store=tmp_path)
    todo = tasks(study, ["jacobian"])
    assert study.store is not None
    assert missing_of(study, todo, study.store) == todo
    assert [len(task.names) for task in todo] == [11]
    assert all(a < b for a, b in pairwise(sorted(todo[0].names)))
