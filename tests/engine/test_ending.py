"""A task that is to end does end, also where a library has dropped its cancellation."""

import asyncio

from segmenter.engine.ending import end


async def test_a_task_that_missed_a_cancellation_is_cancelled_again() -> None:
    missed = 0

    async def deaf() -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                missed += 1
                if missed > 1:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await end(task)

    assert task.cancelled()


async def test_what_the_task_raised_is_dropped() -> None:
    async def fails() -> None:
        raise ValueError("too late to matter")

    task = asyncio.create_task(fails())

    await end(task)

    assert task.done()


async def test_who_waits_for_the_end_can_be_cancelled_himself() -> None:
    async def never_ends() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if is_over:
                    raise

    is_over = False
    task = asyncio.create_task(never_ends())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(end(task))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait([waiting], timeout=1)

    assert waiting.cancelled()
    is_over = True
    await end(task)
