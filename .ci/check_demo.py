"""Read what `segmenter demo --json` wrote and fail unless the demo was alive: events came in, changes out."""

import json
import sys
from pathlib import Path

FIELDS = {"events", "changes", "sizes", "latency_ms", "lag", "last_change"}


def faults(lines: list[str]) -> list[str]:
    """Return what is wrong with the demo's output, in sentences; nothing when all is well."""
    if not lines:
        return ["the demo printed nothing"]
    last = json.loads(lines[-1])
    found = []
    if missing := FIELDS - last.keys():
        found.append(f"the last line lacks {sorted(missing)}")
    found += [f"{name} is {last.get(name)}, expected > 0" for name in ("events", "changes") if not last.get(name)]
    return found


def main(path: Path) -> int:
    """Print the verdict on a file of lines; returns the exit code."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    for fault in (found := faults(lines)):
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{len(lines)} lines; the last: {lines[-1] if lines else ''}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
