"""The sign of life that the watchdog renews and the liveness page reads."""

from time import monotonic


class Pulse:
    """Knows how long ago the watchdog last ran. Counts from its making, so that a slow start has its time too."""

    def __init__(self) -> None:
        self._beat_at = monotonic()

    def beat(self) -> None:
        """Say that the watchdog runs."""
        self._beat_at = monotonic()

    def age_s(self) -> float:
        """Return the seconds since the last beat."""
        return monotonic() - self._beat_at
