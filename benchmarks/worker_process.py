"""The worker as `segmenter worker` runs it, on one core, and on request with samples of where its time goes.

Usage: python -m benchmarks.worker_process [--profile FILE]; the settings come from the environment.
"""

import argparse
import os
from pathlib import Path

from benchmarks.machine import WORKER_CORE
from benchmarks.sampling import sampled_into
from segmenter.logs import set_up_logging
from segmenter.settings import LogFormat, LogLevel
from segmenter.settings_reader import read_settings
from segmenter.wiring.worker import run_worker


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", type=Path)
    profile: Path | None = parser.parse_args().profile
    os.sched_setaffinity(0, {WORKER_CORE})
    set_up_logging(LogLevel.INFO, LogFormat.TEXT)
    with sampled_into(profile):
        run_worker(read_settings())


if __name__ == "__main__":
    main()
