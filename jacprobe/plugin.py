"""The pytest plugin: options, the study behind the claims, verdicts instead of passes, the ledger.

A claim test returns an `Estimate`. The plugin judges it with its whole multiplicity family, reports one of the words
SUPPORTED, REFUTED, INCONCLUSIVE or NOT EVALUATED, and fails the test when the verdict is not an expected one. Under
pytest-xdist workers judge and the controller keeps the ledger. Claim modules stand in folders named `claims`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jacprobe.coverage import coverage_lines
from jacprobe.errors import JacprobeError, inert
from jacprobe.interrupts import end_workers_soon, heed_termination
from jacprobe.judging import CHANGED, Judging
from jacprobe.plugin_options import add_options, asked_judging, claim_folders
from jacprobe.results import ALLURE, LEDGER, Results
from jacprobe.sharing import shared_work
from jacprobe.store.writable import require_writable
from jacprobe.terminal import closing_table, header_lines, verdict_line
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    import numpy as np

    from jacprobe.studies import Study
    from jacprobe.verdicts.claim import Claim

JUDGING = pytest.StashKey[Judging]()
HEADER = pytest.StashKey[list[str]]()
_RECORD = "jacprobe"


def claims(rows: Sequence[Claim]) -> pytest.MarkDecorator:
    """Parametrise a test over claim rows: `@claims(CLAIMS) def test_...(claim, study, rng)`."""
    return pytest.mark.parametrize("claim", [pytest.param(row, id=row.id, marks=pytest.mark.claim) for row in rows])


@pytest.fixture(scope="session")
def study(pytestconfig: pytest.Config) -> Study:
    """Return the study given by `--study`."""
    return pytestconfig.stash[JUDGING].study


@pytest.fixture
def rng(pytestconfig: pytest.Config, claim: Claim) -> np.random.Generator:
    """Return the claim's random stream, derived from `--seed` and the claim's id."""
    return pytestconfig.stash[JUDGING].stream(claim)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a verification."""
    add_options(parser.getgroup("jacprobe", "verification of claims about perturbation models"))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that tells claims from tests."""
    config.addinivalue_line("markers", "claim: a finding with a verdict (set by jacprobe)")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Open the study that claims will be judged on; a bad option ends the run before anything is touched."""
    config = session.config
    folders = claim_folders(config.args, config.invocation_params.dir)
    if not folders or config.option.collectonly:
        return
    try:
        config.stash[JUDGING] = asked_judging(config.option, config.invocation_params.dir, folders)
        if not hasattr(config, "workerinput"):
            study = config.stash[JUDGING].study
            config.stash[HEADER] = [*header_lines(study), *coverage_lines(study, config.stash[JUDGING].rows)]
            _require_readable(study)
            results = Results(_results(config))
            results.require_writable()
            if study.store is not None:
                require_writable(study.store)
            heed_termination()
            config.pluginmanager.register(_Keeper(config.stash[JUDGING], results), "jacprobe-keeper")
    except JacprobeError as error:
        raise pytest.UsageError(str(error)) from error
    config.option.verbose = config.option.verbose or 1


def _require_readable(study: Study) -> None:
    """Read the control cells of every model's line and all stored evidence: a bad file is told before anything else."""
    if study.control_cells_file is not None:
        for role in study.models:
            study.control_cells(role, n_cells=1)
    if study.stored is not None:
        study.stored.check()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the claims asked for by `--claim`."""
    wanted = set(config.option.claim)
    if wanted:
        kept = [item for item in items if (claim := _claim(item)) is not None and claim.id in wanted]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `--dist loadgroup`, give claims that share work to one worker.

    Not by marks: pytest-xdist 3.8 adds their groups to a private name that pytest 9.2 no longer reads.
    """
    if config.option.dist != "loadgroup" or JUDGING not in config.stash:
        return None
    from xdist.scheduler import LoadScopeScheduling

    groups = shared_work(config.stash[JUDGING].rows.values())

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return groups.get(_claim_name(nodeid), nodeid)

    return ByGroup(config, log)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is judged."""
    return config.stash.get(HEADER, [])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Call a claim test, judge what it returns and turn the verdict into pytest's outcome."""
    claim = _claim(pyfuncitem)
    if claim is None:
        return None
    judging, begun = pyfuncitem.config.stash[JUDGING], time.perf_counter()
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    if claim.measure is not None:
        judging.estimate(claim, lambda: pyfuncitem.obj(**arguments))
    line = judging.record(claim)
    line["seconds"] = time.perf_counter() - begun
    pyfuncitem.user_properties.append((_RECORD, line))
    _draw(line, _results(pyfuncitem.config))
    evaluated = line["verdict"] != Verdict.NOT_EVALUATED
    if not is_expected(line) or not (evaluated or not pyfuncitem.config.option.require_evaluated):
        pytest.fail(verdict_line(line), pytrace=False)
    if not evaluated:
        pytest.skip(inert(line["reason"], 1000))
    return True


def _results(config: pytest.Config) -> Path:
    folder: Path = config.invocation_params.dir / config.option.results
    return folder


def _draw(line: dict[str, Any], folder: Path) -> None:
    """Draw the key figure of a verdict now, side by side with other workers, for the reports at the end of the run."""
    from jacprobe.report.figures import key_figures

    with suppress(JacprobeError):  # a full disk costs no verdict; the reports say that they cannot be written
        key_figures([line], folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a claim that raised a record of its own, so that no exception passes for a verdict."""
    report = yield
    claim = _claim(item)
    if claim is not None and report.failed and _record(report) is None and call.excinfo is not None:
        reason = f"{call.excinfo.typename}: {call.excinfo.value}"
        line = item.config.stash[JUDGING].error(claim.id, reason, seconds=call.duration)
        item.user_properties.append((_RECORD, line))
        report.user_properties.append((_RECORD, line))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show the verdict in words; expected ones have categories of their own, unexpected ones stay `failed`."""
    line = _record(report)
    if line is None or (report.when != "call" and not report.failed):
        return None
    verdict = Verdict(line["verdict"])
    if verdict is Verdict.ERROR:
        return "error", "E", (verdict, {"red": True, "bold": True})
    if report.failed:
        return "failed", "F", (f"{verdict}, unexpected", {"red": True})
    colour = {Verdict.SUPPORTED: "green", Verdict.REFUTED: "blue", Verdict.INCONCLUSIVE: "purple"}
    return verdict.lower(), verdict[0], (verdict, {colour.get(verdict, "yellow"): True})


class _Keeper:
    """Keeps the ledger: in the only process, or on the controller of pytest-xdist."""

    def __init__(self, judging: Judging, results: Results) -> None:
        self.judging, self.results, self.begun = judging, results, time.time()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(claim.id for item in session.items if (claim := _claim(item)) is not None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._expect(found for nodeid in ids if (found := self._claim_id(nodeid)) is not None)

    def _expect(self, claim_ids: Iterable[str]) -> None:
        try:
            self.results.expect(claim_ids)
        except JacprobeError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        line, claim_id = _record(report), self._claim_id(report.nodeid)
        if line is not None and (report.when == "call" or report.failed):
            self.results.add(line)
        elif report.failed and claim_id is not None:
            self.results.crashes[claim_id] = report.longreprtext

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            end_workers_soon(session.config.pluginmanager)
        try:
            self._finish()
        except (JacprobeError, OSError) as error:
            pytest.exit(f"the verdicts cannot be kept: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)

    def _finish(self) -> None:
        from jacprobe.report.allure import write_allure

        lines = self.results.finish(self.judging.rows, self.judging.error)
        if not lines:
            return
        folder = self.results.folder
        write_allure(folder / ALLURE, lines, started_ms=round(1000 * self.begun), keep=folder)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        lines = list(self.results.lines.values())
        if not lines:
            return
        writer = terminalreporter
        writer.section("verdicts")
        writer.write(closing_table(lines, colour=writer.hasmarkup))
        unexpected = [line for line in lines if not is_expected(line)]
        for line in unexpected:
            writer.write_line(f"unexpected  {verdict_line(line)}", red=True)
        for line in lines:
            for flag in line["flags"]:
                if flag.startswith(CHANGED):
                    writer.write_line(f"changed  {inert(line['id'])}: {inert(flag, 1000)}")
        counts = ", ".join(f"{number} {verdict}" for verdict, number in self.results.counts.items())
        judged = "1 claim" if len(lines) == 1 else f"{len(lines)} claims"
        writer.write_line(f"{judged}: {counts}; {len(unexpected)} unexpected")
        writer.write_line(f"ledger: {self.results.folder / LEDGER}")

    def _claim_id(self, nodeid: str) -> str | None:
        name = _claim_name(nodeid)
        return name if name in self.judging.rows else None


def _claim(item: pytest.Item) -> Claim | None:
    if not isinstance(item, pytest.Function) or item.get_closest_marker("claim") is None:
        return None
    claim: Any = item.callspec.params["claim"]
    return claim


def _claim_name(nodeid: str) -> str:
    return nodeid.rpartition("[")[2].removesuffix("]")


def _record(report: pytest.TestReport) -> dict[str, Any] | None:
    # A report of collecting has no properties.
    properties = getattr(report, "user_properties", ())
    found: Any = next((value for name, value in properties if name == _RECORD), None)
    return found
