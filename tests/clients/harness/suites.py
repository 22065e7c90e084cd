"""What the conftests of several suites have in common, among it the rule that a check which could not run is said aloud, and in CI is a failure."""

import os

import pytest


@pytest.fixture
def own_broker(start_broker):
    """A broker of the test's own, to stop and to kill."""
    broker = start_broker()
    yield broker
    broker.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A test that fails shows the end of its broker's log."""
    report = (yield).get_result()
    if report.failed:
        for name in ("own_broker", "cluster", "broker"):
            if name in getattr(item, "funcargs", {}):
                report.sections.append(("broker log", item.funcargs[name].log_tail()))
                break


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"SKIPPED: {report.nodeid}: {reason.removeprefix('Skipped: ')}")


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and exitstatus == 0 and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
