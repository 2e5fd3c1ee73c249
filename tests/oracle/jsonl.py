"""Canonical events as JSON Lines."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

JsonEvent: TypeAlias = dict[str, str]
"""One event as the canonical JSON has it; all fields used here are text."""


def write_jsonl(path: Path, events: Iterable[JsonEvent]) -> Path:
    """Write one event a line, compressed where the name ends in `.gz`; return the path."""
    text = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), compresslevel=1, mtime=0))
    else:
        path.write_text(text)
    return path
