"""The worker as `segmenter worker` runs it, which notes at each step of its start where its clocks stand.

Usage: python -m benchmarks.start_process CORE FILE; the settings come from the environment. A step is a log line: its
name, the seconds since 1970, and the CPU time of the process until then, one JSON array a line in FILE. Nothing is
imported here that a worker would not import anyway.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    with Path(sys.argv[2]).open("w", buffering=1) as file:

        def note(step: str) -> None:
            file.write(json.dumps([step, time.time(), time.process_time()]) + "\n")

        def noted(*arguments: Any, **options: Any) -> logging.LogRecord:
            record = logging.LogRecord(*arguments, **options)
            note(str(record.msg))
            return record

        note("begun")
        logging.setLogRecordFactory(noted)
        # Below the level that the worker sets for its libraries: the steps in the group are heard of nowhere else.
        logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.INFO)
        from segmenter.cli import main as segmenter

        segmenter(["worker"])


if __name__ == "__main__":
    main()
