"""Runs commands as a shell would, with an environment of the test's own."""

import os

import pytest

from segmenter.cli import main
from tests.cli.running import Ran, RunCommand


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunCommand:
    """Run a command: `segmenter("rulebook", "check", "x.yaml", SEGMENTER_LOG_LEVEL="debug")`."""
    for name in os.environ:
        if name.startswith("SEGMENTER_"):
            monkeypatch.delenv(name)

    def run(*arguments: str, **environment: str) -> Ran:
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(int(ended.value.code), printed.out, printed.err)

    return run
