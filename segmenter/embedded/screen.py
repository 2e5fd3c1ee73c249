"""The demo in a terminal: how large the classes are, who moved and why, and how fast all of it goes."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from segmenter.embedded.screen_frame import DemoFrame, Phase, ShownChange

# Colour says nothing that the words beside it do not say too.
SEGMENT_STYLES = {
    "prospect": "bright_black",
    "new": "cyan",
    "repeat": "green",
    "inactive": "magenta",
    "A": "green",
    "B": "yellow",
    "C": "bright_black",
}
PHASE_STYLES = {Phase.STARTING: "yellow", Phase.LOADING: "yellow", Phase.LIVE: "bold green"}
OTHER_STYLE = "blue"
QUIET = "bright_black"
# In fewer columns the cause and the latency of each change would leave too little for its reason.
WIDE_COLUMNS = 96
HEADER_ROWS = 1
NUMBERS_ROWS = 5
# A panel of sizes is not drawn narrower.
SIZES_MIN_COLUMNS = 32
NOTHING = "-"
WAITING = {
    Phase.STARTING: "Kafka, Redis and the worker are starting …",
    Phase.LOADING: "a year of history is being read; its changes are not announced one by one …",
    Phase.LIVE: "nobody has moved yet …",
}


class DemoScreen:
    """The full terminal while the context is open; the last frame stays behind when it ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._shown: DemoFrame | None = None  # None: nothing was shown yet

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._shown is not None:
            width, height = self._console.size
            self._console.print(rendered(self._shown, width, height), height=height)

    def show(self, frame: DemoFrame) -> None:
        """Put the frame on the terminal, in whatever size it has now.

        Drawing takes 10 to 30 ms: twice a second is plenty, and in a thread where an event loop must not wait.
        """
        self._shown = frame
        width, height = self._console.size
        self._live.update(rendered(frame, width, height), refresh=True)


def rendered(frame: DemoFrame, columns: int, rows: int) -> RenderableType:
    """Return the frame drawn for a terminal of this size; made for 100 x 30, fine from 80 x 24."""
    sizes_rows = max((len(sizes) for sizes in frame.sizes.values()), default=1) + 2
    changes_rows = max(3, rows - HEADER_ROWS - sizes_rows - NUMBERS_ROWS)
    whole = Layout()
    whole.split_column(
        Layout(_header(frame), size=HEADER_ROWS),
        Layout(_sizes(frame.sizes, columns), size=sizes_rows),
        Layout(_last_changes(frame, columns, changes_rows - 2), size=changes_rows),
        Layout(_numbers(frame), size=NUMBERS_ROWS),
    )
    return whole


def _header(frame: DemoFrame) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    minutes, seconds = divmod(int(frame.elapsed_s), 60)
    line.add_row(
        Text.assemble((" segmenter demo ", "bold reverse"), "  ", (f"● {frame.phase}", PHASE_STYLES[frame.phase])),
        Text.assemble(f"{minutes}:{seconds:02d}", ("  Ctrl-C ends it ", QUIET)),
    )
    return line


def _sizes(sizes_by_dimension: Mapping[str, Mapping[str, int]], columns: int) -> RenderableType:
    if not sizes_by_dimension:
        return Panel(Text("no customer yet", style=QUIET), title="customers", border_style=QUIET)
    beside = Layout()
    shown = list(sizes_by_dimension.items())[: max(1, columns // SIZES_MIN_COLUMNS)]
    beside.split_row(*(Layout(_sizes_of(dimension, sizes)) for dimension, sizes in shown))
    return beside


def _sizes_of(dimension: str, sizes: Mapping[str, int]) -> RenderableType:
    total = sum(sizes.values())
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style=QUIET)
    for segment, size in sizes.items():
        style = SEGMENT_STYLES.get(segment, OTHER_STYLE)
        bar = ProgressBar(total=max(total, 1), completed=size, complete_style=style, finished_style=style)
        table.add_row(Text(segment, style=style), bar, f"{size:,}", f"{size / max(total, 1):4.0%}")
    title = Text.assemble((dimension, "bold"), (f"  {total:,} customers", QUIET))
    return Panel(table, title=title, title_align="left", border_style=QUIET)


def _last_changes(frame: DemoFrame, columns: int, rows: int) -> RenderableType:
    is_wide = columns >= WIDE_COLUMNS
    table = Table.grid(expand=True, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    # A long reason takes a second line: it is what makes a change believable.
    table.add_column(ratio=1)
    if is_wide:
        table.add_column(no_wrap=True, style=QUIET)
        table.add_column(no_wrap=True, justify="right", style=QUIET)
    for change in frame.last_changes[:rows]:
        beside = (Text(change.cause), _milliseconds(change.latency_ms)) if is_wide else ()
        # As Text, for a customer's id may look like markup.
        table.add_row(Text(change.customer), _move(change), Text(change.reason), *beside)
    body = table if frame.last_changes else Text(WAITING[frame.phase], style=QUIET)
    title = Text.assemble(("last changes", "bold"), ("  and why", QUIET))
    return Panel(body, title=title, title_align="left", border_style=QUIET)


def _move(change: ShownChange) -> Text:
    return Text.assemble(
        (f"{change.dimension} ", QUIET), _segment(change.before), (" → ", QUIET), _segment(change.after)
    )


def _segment(segment: str | None) -> tuple[str, str]:
    return ("none", QUIET) if segment is None else (segment, SEGMENT_STYLES.get(segment, OTHER_STYLE))


def _numbers(frame: DemoFrame) -> RenderableType:
    cells = (
        ("events", f"{frame.events:,}"),
        ("events/s", f"{frame.events_per_s:,.0f}"),
        ("changes", f"{frame.changes:,}"),
        ("latency p50", _milliseconds(frame.latency_p50_ms)),
        ("latency p99", _milliseconds(frame.latency_p99_ms)),
        ("lag, records", f"{frame.lag:,}"),
    )
    strip = Table.grid(expand=True)
    for _ in cells:
        strip.add_column(ratio=1, no_wrap=True)
    strip.add_row(*(Text(label, style=QUIET) for label, _ in cells))
    strip.add_row(*(Text(value, style="bold") for _, value in cells))
    return Panel(Group(strip, _oddities(frame)), border_style=QUIET)


def _oddities(frame: DemoFrame) -> Text:
    reasons = " · ".join(f"{reason} {count:,}" for reason, count in frame.rejected.items())
    found = f"duplicates {frame.duplicates:,} · late {frame.late:,} · rejected {sum(frame.rejected.values()):,}"
    return Text(f"{found}: {reasons}" if reasons else found, style=QUIET, no_wrap=True, overflow="ellipsis")


def _milliseconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
