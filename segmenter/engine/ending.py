"""Ending a task for certain."""

import asyncio

AGAIN_AFTER_S = 0.5


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel a task until it has ended; what it raised is dropped.

    Once is not enough: `asyncio.wait_for` of Python 3.11, in which redis-py sends its commands, drops a
    cancellation that comes in the moment the sending is done, and the task goes on as if nothing had happened.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_AFTER_S)
    if not task.cancelled():
        task.exception()
