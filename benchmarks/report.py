"""Runs benchmarks by name, shows their tables, and writes each between its markers in `benchmarks/README.md`.

Usage: python -m benchmarks [NAME …] [--scale S] [--write]. The soak, which takes an hour, must be named.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import audit, backfill, deadlines, latency, leader, memory, segments, soak, start, throughput
from benchmarks.figures import Result
from benchmarks.machine import machine_class, versions

README = Path(__file__).with_name("README.md")
BENCHMARKS: Mapping[str, Callable[[float], Result]] = {
    "throughput": throughput.run,
    "segments": segments.run,
    "latency": latency.run,
    "deadlines": deadlines.run,
    # The leader works on the customers that the benchmark before it has stored.
    "memory": memory.run,
    "leader": leader.run,
    "audit": audit.run,
    "backfill": backfill.run,
    "start": start.run,
}
ALL: Mapping[str, Callable[[float], Result]] = {**BENCHMARKS, "soak": soak.run}
_HEADER = "| what | found | asked for | what was read back and counted |\n|---|---|---|---|"


def run(names: Sequence[str], scale: float, *, is_written: bool) -> None:
    """Run these benchmarks, all but the soak where none is named; show each table, and write it where asked."""
    for name in names or BENCHMARKS:
        print(f"{name} …")
        result = ALL[name](scale)
        text = table(name, result, scale)
        print(text)
        if is_written:
            write(name, text)
            for file, content in result.files.items():
                README.with_name(file).write_text(content)


def table(name: str, result: Result, scale: float, at: datetime | None = None) -> str:
    """Return a result as Markdown: the figures, then when, where and with what they were found."""
    rows = [
        f"| {figure.name} | **{figure.value}** | {figure.target or '-'} | {figure.check or '-'} |"
        for figure in result.figures
    ]
    command = f"python -m benchmarks {name}" + ("" if scale == 1 else f" --scale {scale:g}")
    day = (at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    notes = "".join(f"- {note}\n" for note in (*result.notes, f"`{command}`, {day}, {machine_class()}", versions()))
    return "\n".join([_HEADER, *rows, "", notes])


def write(name: str, text: str) -> None:
    """Put a table between the markers of its benchmark. Raises ValueError where there are none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before = README.read_text()
    after, count = re.subn(
        f"(?s){begin}.*{end}", lambda _: f"{begin}\n{text}\n{end}".replace("\n\n\n", "\n\n"), before
    )
    if count != 1:
        raise ValueError(f"{README.name} has {count} places {begin} … {end}; expected one")
    README.write_text(after)


def main() -> None:
    """Run what is named; all where nothing is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(ALL)}; none: all but the soak")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the work that is done, such as 0.1")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ALL]:
        parser.error(f"found {', '.join(unknown)}; expected any of {', '.join(ALL)}")
    run(options.names, options.scale, is_written=options.write)


if __name__ == "__main__":
    main()
