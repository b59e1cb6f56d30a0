"""pytest on boards: options --hil-*, fixtures, marker, a suite as tests (docs/pytest.md).

pytest loads this in every session of an environment that has hilbench, so it imports nothing of
hilbench until a test needs a board, and says nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hilbench._pytest.bench import Bench
    from hilbench._pytest.measuring import HilBench, HilGate
    from hilbench.records import BoardConfig, VariantConfig

_BENCH: pytest.StashKey[Bench] = pytest.StashKey()
_SESSION: pytest.StashKey[str] = pytest.StashKey()
_FILES = ("hil_boards", "hil_suite", "hil_baseline", "hil_gate")
_PATHS = (*_FILES, "hil_results")


# -- options and session ----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare --hil-*."""
    group = parser.getgroup("hilbench", "hardware in the loop (hilbench)")
    group.addoption(
        "--hil-boards",
        metavar="FILE",
        help="boards file (default: ./boards.toml, else the emulated boards that hilbench carries)",
    )
    group.addoption(
        "--hil-board",
        action="append",
        default=[],
        metavar="ID",
        help="test on this board; may be repeated (default: every board without the tag 'extra')",
    )
    group.addoption(
        "--hil-tag",
        action="append",
        default=[],
        metavar="TAG",
        help="test on every board with this tag; may be repeated",
    )
    group.addoption(
        "--hil-suite", metavar="FILE", help="a suite.toml: its cells are tests, its variants ids"
    )
    group.addoption(
        "--hil-require",
        action="store_true",
        help="a board that is absent is an error; without this its tests are skipped",
    )
    group.addoption(
        "--hil-results",
        metavar="FOLDER",
        help="where run folders go (default: in pytest's cache)",
    )
    group.addoption("--hil-baseline", metavar="FILE", help="compare with this baseline")
    group.addoption(
        "--hil-gate",
        metavar="FILE",
        help="margins, budgets and waivers (default: built-in margins)",
    )
    group.addoption("--hil-sessions", type=_count, metavar="N", help="sessions of every cell")
    group.addoption("--hil-limit", type=_count, metavar="N", help="use only the first N vectors")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; make paths absolute, for workers; collect the suite by default.

    Raises:
        pytest.UsageError: an option names a file that is not there, or cannot have an effect.
    """
    config.addinivalue_line(
        "markers",
        "hil(*boards): needs a board, and these only when any are named; "
        "every test that uses hil_board has it",
    )
    option = config.option
    for name in _PATHS:
        if value := getattr(option, name, None):
            path = config.invocation_params.dir / value
            if name in _FILES and not path.is_file():
                raise pytest.UsageError(f"--{name.replace('_', '-')}: no file {path}")
            setattr(option, name, str(path))
    if option.hil_gate and not option.hil_baseline:
        raise pytest.UsageError("--hil-gate judges by a baseline; name it with --hil-baseline FILE")
    worker = getattr(config, "workerinput", None)
    config.stash[_SESSION] = worker["hil_session"] if worker else uuid.uuid4().hex[:12]
    suite = getattr(option, "hil_suite", None)
    if suite and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args.append(suite)
    if suite and getattr(option, "xmlpath", None) and not worker:
        from hilbench._pytest.ids import JunitNames  # noqa: PLC0415

        config.pluginmanager.register(JunitNames(config, Path(suite)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the notes that workers shared."""
    if _SESSION in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(_scratch(config), ignore_errors=True)


def _scratch(config: pytest.Config) -> Path:
    return Path(tempfile.gettempdir()) / f"hilbench-pytest-{config.stash[_SESSION]}"


def _bench(config: pytest.Config) -> Bench:
    """Make what tests share, at the first test that needs it."""
    if _BENCH not in config.stash:
        from hilbench._pytest.bench import Bench, Settings  # noqa: PLC0415
        from hilbench.config.defaults import default_boards_path  # noqa: PLC0415

        option = config.option
        gate = config.rootpath / "gate.toml"
        paths = {name: Path(v) if (v := getattr(option, name)) else None for name in _PATHS}
        config.stash[_BENCH] = Bench(
            Settings(
                boards_file=paths["hil_boards"] or default_boards_path().resolve(),
                boards=tuple(option.hil_board),
                tags=tuple(option.hil_tag),
                suite=paths["hil_suite"],
                require=option.hil_require,
                results=paths["hil_results"] or _default_results(config),
                baseline=paths["hil_baseline"],
                gate=paths["hil_gate"] or (gate if gate.exists() else None),
                sessions=option.hil_sessions,
                limit=option.hil_limit,
                root=config.rootpath,
                scratch=_scratch(config),
            )
        )
    return config.stash[_BENCH]


def _default_results(config: pytest.Config) -> Path:
    cache = getattr(config, "cache", None)  # absent with -p no:cacheprovider
    return cache.mkdir("hilbench") if cache else Path(tempfile.gettempdir()) / "hilbench-pytest"


# -- collecting -------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the suite of --hil-suite."""
    suite = parent.config.getoption("hil_suite")
    if not suite or file_path.suffix != ".toml":
        return None
    if os.path.realpath(file_path) != os.path.realpath(suite):
        return None
    from hilbench._pytest.items import SuiteFile  # noqa: PLC0415

    return SuiteFile.from_parent(parent, path=file_path, bench=_bench(parent.config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise over boards and variants."""
    boards = "hil_board" in metafunc.fixturenames
    variants = "hil_variant" in metafunc.fixturenames
    marker = metafunc.definition.get_closest_marker("hil")
    if marker and not boards:
        pytest.fail(
            f"{metafunc.definition.name} is marked hil and asks for no board, so it would pass "
            f"without one; give it the fixture hil_board or hil_bench",
            pytrace=False,
        )
    if not boards and not variants:
        return
    from hilbench.errors import HilbenchError  # noqa: PLC0415

    bench = _bench(metafunc.config)
    try:
        chosen = bench.chosen(marker.args if marker else ()) if boards else []
        found = bench.suite.variants if variants else ()
    except HilbenchError as error:
        told = str(error)
    else:
        if boards:  # a test that is for none of them is skipped by the fixture
            _parametrize(
                metafunc, "hil_board", chosen or [None], [b.id for b in chosen] or ["no-board"]
            )
        if variants:
            _parametrize(metafunc, "hil_variant", found, [v.name for v in found])
        return
    pytest.fail(told, pytrace=False)  # outside of except: without its tracebacks


def _parametrize(metafunc: pytest.Metafunc, name: str, values: Any, ids: list[str]) -> None:
    metafunc.parametrize(name, values, ids=ids, indirect=True, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs a board, for -m hil and -m 'not hil'."""
    if "hil_board" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("hil"):
        item.add_marker("hil")


# -- fixtures ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def hil_board(request: pytest.FixtureRequest) -> BoardConfig:
    """The board of this test, a hilbench.records.BoardConfig; one after the other."""
    board: BoardConfig | None = request.param
    return _bench(request.config).need(board)


@pytest.fixture(scope="session")
def hil_variant(request: pytest.FixtureRequest) -> VariantConfig:
    """A variant of the suite of --hil-suite, a hilbench.records.VariantConfig."""
    variant: VariantConfig = request.param
    return variant


@pytest.fixture
def hil_bench(request: pytest.FixtureRequest, hil_board: BoardConfig) -> HilBench:
    """Measure a model on the board of this test, as hilbench._pytest.measuring.HilBench says."""
    from hilbench._pytest.measuring import HilBench  # noqa: PLC0415

    return HilBench(_bench(request.config), hil_board, request.node)


@pytest.fixture
def hil_gate(request: pytest.FixtureRequest) -> HilGate:
    """Compare a row with the baseline of --hil-baseline: ``hil_gate(row)``."""
    from hilbench._pytest.measuring import HilGate  # noqa: PLC0415

    return HilGate(_bench(request.config), request.node)


# -- reports ----------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)  # not wrapper: a user's pytest may be older than 8
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Faults of the bench are errors, failures show the link; other tests are left alone."""
    outcome = yield
    if call.excinfo is not None and _BENCH in item.config.stash:
        _explain(item, call.excinfo, outcome.get_result())


def _explain(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], report: pytest.TestReport
) -> None:
    from hilbench._pytest.byte_log import section  # noqa: PLC0415
    from hilbench._pytest.measuring import MEASURED  # noqa: PLC0415
    from hilbench.errors import EXIT_COULD_NOT_MEASURE, EXIT_REGRESSION, HilbenchError  # noqa: PLC0415

    error = excinfo.value
    told: list[tuple[str, object]] = []
    if outcome := getattr(error, "hil_outcome", ""):
        told.append(("hil_outcome", outcome))
    if report.skipped and outcome and isinstance(report.longrepr, tuple):
        report.longrepr = (*report.longrepr[:2], f"Skipped: {error}")
    elif report.failed:
        if isinstance(error, HilbenchError):
            report.longrepr = excinfo.getrepr(style="value")
            if report.when != "teardown":  # setup is what JUnit and the terminal call an error
                report.when = "call" if error.exit_code == EXIT_REGRESSION else "setup"
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None and (outcome or isinstance(error, HilbenchError)):
            crash.message = str(error)  # the sentence first, not the name of its type
        measured = item.stash.get(MEASURED, None) or []
        for run, board in dict.fromkeys(measured):  # once, after reruns too
            file = run.link_file(board)
            if file.exists():  # or the board was never spoken to
                told.append(("hil_link", str(file)))
                fault = getattr(error, "exit_code", None) == EXIT_COULD_NOT_MEASURE
                tail = fault and _bench(item.config).first_time(file)
                report.sections.append(section(file, board, tail=tail))
    item.user_properties += told  # JUnit has those of the teardown's report
    report.user_properties += told


def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:
    """Say INCONCLUSIVE; it counts as a failure."""
    if report.failed and _outcome(report) == "inconclusive":
        return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})
    return None


def _outcome(report: Any) -> object:
    return dict(getattr(report, "user_properties", ())).get("hil_outcome")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Refuse to call it a pass when tests were skipped for absent boards and nothing else ran."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    if _only_absent(reporter.stats):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def _only_absent(stats: dict[str, list[Any]]) -> bool:
    absent = any(_outcome(report) == "absent" for report in stats.get("skipped", []))
    return absent and not any(stats.get(k) for k in stats if k not in {"skipped", "deselected", ""})


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was measured and what the gate says."""
    if suite := terminalreporter.config.getoption("hil_suite"):
        from hilbench._pytest.ids import repair  # noqa: PLC0415

        repair(terminalreporter.stats, Path(suite).name)
    if _only_absent(terminalreporter.stats):
        terminalreporter.write_line(
            "hilbench: nothing ran, because no board was there: that is no pass (exit status 5)"
        )
    reports = [
        report
        for found in terminalreporter.stats.values()
        for report in found
        if isinstance(report, pytest.TestReport)
        and any(str(name).startswith("hil_") for name, _ in report.user_properties)
    ]
    if not reports:
        return
    from hilbench._pytest.summary import lines  # noqa: PLC0415

    if found := lines(reports, terminalreporter.config.getoption("hil_baseline")):
        terminalreporter.write_sep("=", "hilbench")
        for line in found:
            terminalreporter.write_line(line)


# -- pytest-xdist -----------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell workers which session they are of."""
    node.workerinput["hil_session"] = node.config.stash[_SESSION]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a board's tests on one worker with --dist loadgroup."""
    if config.getoption("dist") != "loadgroup":
        return None
    from hilbench._pytest.scheduler import board_group, make_scheduler  # noqa: PLC0415
    from hilbench.errors import HilbenchError  # noqa: PLC0415

    try:
        boards = _bench(config).known
    except HilbenchError:  # workers say so for each test that needs it
        boards = {}
    suite = config.getoption("hil_suite")
    return make_scheduler(config, log, board_group(boards, Path(suite).name if suite else None))
