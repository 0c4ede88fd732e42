"""References to the hub: pinned, or refused; nothing is fetched that was not asked for."""

from __future__ import annotations

import pytest
import requests
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

from jacprobe import hub
from jacprobe.errors import StudyError
from jacprobe.opening import open_study

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "arcinstitute/ST-HVG-Replogle"


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        (f"hf://{REPOSITORY}@{COMMIT}", "model", ""),
        (f"hf://{REPOSITORY}/fewshot/hepg2@{COMMIT}", "model", "fewshot/hepg2"),
        (f"hf://datasets/{REPOSITORY}/data.h5ad@{COMMIT}", "dataset", "data.h5ad"),
    ],
)
def test_a_reference_has_repository_path_and_commit(text, kind, path):
    reference = hub.parse(text)
    assert (reference.kind, reference.repository, reference.path) == (kind, REPOSITORY, path)
    assert reference.commit == COMMIT
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"hf://{REPOSITORY}", "without a revision"),
        (f"hf://{REPOSITORY}@main", "revision main, which can move; wanted a commit of 40"),
        (f"hf://{REPOSITORY}@{COMMIT[:12]}", "which can move"),
        (f"hf://ST-HVG-Replogle@{COMMIT}", "wanted hf://OWNER/NAME"),
        (f"hf://{REPOSITORY}/../x@{COMMIT}", "wanted hf://OWNER/NAME"),
    ],
)
def test_what_is_not_pinned_is_refused_before_any_network(text, message, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(StudyError, match=message):
        open_study("replogle-nadig", models=text)


def hub_of(monkeypatch, answer):
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options))
        if isinstance(answer, BaseException):
            raise answer
        return str(answer)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return asked


def response():
    found = requests.Response()
    found.status_code = 404
    return found


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("outgoing traffic has been disabled"),
        requests.ConnectionError("no route"),
        RevisionNotFoundError("no such revision", response=response()),
    ],
)
def test_an_unreachable_hub_or_a_commit_that_is_gone_is_refused(monkeypatch, error):
    hub_of(monkeypatch, error)
    with pytest.raises(StudyError, match=f"{COMMIT}: not to be had from the hub.*give the folder"):
        open_study("replogle-nadig", models=f"hf://{REPOSITORY}@{COMMIT}")


def test_only_the_files_of_the_runs_are_asked_for_at_the_pinned_commit(monkeypatch, tmp_path):
    root = tmp_path / COMMIT
    for role in ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2"):
        (root / role).mkdir(parents=True)
    asked = hub_of(monkeypatch, root)
    study = open_study("replogle-nadig", models=f"hf://{REPOSITORY}@{COMMIT}")
    assert study.models["zeroshot/hepg2"].run == root / "zeroshot/hepg2"
    repository, options = asked[0]
    assert repository == REPOSITORY
    assert options["revision"] == COMMIT
    assert "fewshot/hepg2/checkpoints/best.ckpt" in options["allow_patterns"]
    assert not [pattern for pattern in options["allow_patterns"] if pattern.endswith("checkpoints/*")]


def test_a_revision_that_moved_or_lacks_the_path_is_refused(monkeypatch, tmp_path):
    moved = tmp_path / COMMIT[::-1]
    moved.mkdir()
    hub_of(monkeypatch, moved)
    with pytest.raises(StudyError, match="The revision moved"):
        open_study("replogle-nadig", model={"fewshot/hepg2": f"hf://{REPOSITORY}/fewshot/hepg2@{COMMIT}"})
    (tmp_path / COMMIT).mkdir()
    hub_of(monkeypatch, tmp_path / COMMIT)
    with pytest.raises(StudyError, match="no fewshot/hepg2 in that commit"):
        open_study("replogle-nadig", model={"fewshot/hepg2": f"hf://{REPOSITORY}/fewshot/hepg2@{COMMIT}"})
