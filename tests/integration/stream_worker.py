"""A worker process for tests that kill it: the stream with the recording engine, until SIGTERM.

Usage: python -m tests.integration.stream_worker DATABASE NAME SETTINGS_AS_JSON
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from segmenter.stream.binding import Binding
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.run import run_stream
from segmenter.stream.settings import StreamSettings
from segmenter.stream.source_log import KafkaSourceLog
from tests.integration.recording_engine import Observed, RecordingEngine, SystemClock


def main() -> None:
    path, name, given = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    changes = json.loads(given)
    changes |= {kind: tuple(changes[kind]) for kind in ("lane_topics", "other_topics")}
    settings = StreamSettings(**changes)
    engine = RecordingEngine(Path(path), KafkaSourceLog(settings.bootstrap), name)
    observed = Observed()
    binding = Binding(
        settings=settings, engine=engine, clock=SystemClock(), ownership=GroupOwnership(), observer=observed
    )
    asyncio.run(run_stream(binding))
    print("ended", observed, flush=True)


if __name__ == "__main__":
    main()
