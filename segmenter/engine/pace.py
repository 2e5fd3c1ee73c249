"""The seconds by which the engine paces itself: those of its loop, so that a loop of simulated time paces it too."""

import asyncio


def seconds() -> float:
    """Return the running loop's time, which never goes back; only differences mean anything."""
    return asyncio.get_running_loop().time()
