import os
import pty
import subprocess
import sys
from pathlib import Path

EVENTS = str(Path(__file__).parents[2] / "examples" / "events" / "first-day.jsonl")
COMMAND = [sys.executable, "-m", "segmenter", "simulate", EVENTS, "--json"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("SEGMENTER_")}


def test_a_terminal_sees_a_bar_and_the_result_stays_clean() -> None:
    terminal, their_end = pty.openpty()
    try:
        ran = subprocess.run(
            COMMAND, stdout=subprocess.PIPE, stderr=their_end, env={**ENVIRONMENT, "TERM": "xterm"}, check=True
        )
        drawn = os.read(terminal, 65_536).decode(errors="replace")
    finally:
        os.close(their_end)
        os.close(terminal)

    assert "simulating" in drawn
    assert ran.stdout.startswith(b"{")
    assert ran.stdout.count(b"\n") == 1


def test_off_a_terminal_nothing_is_drawn() -> None:
    assert subprocess.run(COMMAND, capture_output=True, env=ENVIRONMENT, check=True).stderr == b""
