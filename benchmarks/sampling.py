"""Where a process spends its CPU time: its stacks, looked at every few milliseconds of CPU time it uses.

Nothing is slowed down by more than a percent, so shares can be trusted where a tracing profiler distorts them.
"""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_EVERY_S = 0.005
_LINES = 60


class _Samples:
    def __init__(self) -> None:
        self.count = 0
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()

    def take(self, _signal: int, frame: FrameType | None) -> None:
        """Count the functions on the stack that has the CPU: that of the main thread, or of one that waits."""
        self.count += 1
        main = threading.main_thread().ident
        stacks = {ident: frame if ident == main else found for ident, found in sys._current_frames().items()}
        for ident, found in stacks.items():
            names = list(_names(found))
            if not names or "select (selectors.py)" in names[0]:
                continue
            prefix = "" if ident == main else "[other thread] "
            self.own[prefix + names[0]] += 1
            self.within.update({prefix + name for name in names})

    def text(self) -> str:
        """Return both counts, highest first."""
        lines = [f"{self.count} samples, one every {_EVERY_S * 1000:.0f} ms of CPU time", "", "own time"]
        lines += [f"{100 * n / self.count:6.1f} %  {name}" for name, n in self.own.most_common(_LINES)]
        lines += ["", "with all that is called"]
        lines += [f"{100 * n / self.count:6.1f} %  {name}" for name, n in self.within.most_common(2 * _LINES)]
        return "\n".join(lines) + "\n"


def _names(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        code = frame.f_code
        yield f"{code.co_qualname} ({Path(code.co_filename).name})"
        frame = frame.f_back


@contextmanager
def sampled_into(path: Path | None) -> Iterator[None]:
    """Sample this process from its main thread, and write what was found into a file at the end."""
    if path is None:
        yield
        return
    samples = _Samples()
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text(samples.text())
