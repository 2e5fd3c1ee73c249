"""Shows lag tools how far we are: the engine's stored positions, committed to Kafka."""

from segmenter.engine.intake import Place
from segmenter.stream.binding import Binding
from segmenter.stream.consumer_thread import BatchConsumerThread


class PositionMirror:
    """Commits what has moved since the last time. Never ahead of the store; nothing ever starts from it."""

    def __init__(self, binding: Binding, thread: BatchConsumerThread) -> None:
        self._binding = binding
        self._thread = thread
        self._shown: dict[Place, int] = {}

    def forget(self) -> None:
        """Show everything anew: others may have shown older positions in the meantime."""
        self._shown.clear()

    async def show(self) -> None:
        """Commit. Failing does no harm, and is counted."""
        stored = self._binding.engine.positions()
        news = {place: offset for place, offset in stored.items() if self._shown.get(place) != offset}
        if not news:
            return
        if await self._thread.mirror(news):
            self._shown.update(news)
        else:
            self._binding.observer.mirror_failed()
