"""How long each suite took: a table of the folders below `tests/` at the end of a run."""

from collections import Counter

import pytest


def durations_by_suite(reports: list[pytest.TestReport]) -> dict[str, tuple[int, float]]:
    """Return tests and seconds (setup and teardown included) by folder below `tests/`, slowest first."""
    seconds: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for report in reports:
        suite = _suite_of(report.nodeid)
        seconds[suite] += report.duration  # type: ignore[assignment]  # Counter takes floats too
        tests[suite] += report.when == "call"
    return {suite: (tests[suite], float(total)) for suite, total in seconds.most_common()}


def write_table(terminal: pytest.TerminalReporter) -> None:
    """Print minutes by suite."""
    reports = [
        report for reports in terminal.stats.values() for report in reports if isinstance(report, pytest.TestReport)
    ]
    if not reports:
        return
    terminal.section("minutes by suite")
    for suite, (tests, total) in durations_by_suite(reports).items():
        terminal.write_line(f"{suite:<24} {tests:>6} tests {total / 60:>8.2f} min")


def _suite_of(nodeid: str) -> str:
    parts = nodeid.split("::", 1)[0].split("/")
    return parts[1] if len(parts) > 2 else parts[0]
