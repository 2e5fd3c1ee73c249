"""A worker whom no broker answers says so; one that is answered, or has nothing to ask, does not."""

from segmenter.domain.instants import SECOND
from segmenter.engine.worker import SILENT_AFTER_S
from tests.engine.memory_worker import MemoryWorker, World, click, day, terms_of, working


def rest(worker: MemoryWorker, seconds: float) -> None:
    """Let so much time go by."""
    worker.engine._heard_at -= seconds
    worker.world.clock.at += int(seconds * SECOND)


async def test_brokers_that_do_not_answer_are_named() -> None:
    async with working(World(terms=terms_of())) as worker:
        await worker.read()
        rest(worker, SILENT_AFTER_S + 1)
        await worker.take()
        faults = worker.engine.status().held_for

    assert faults == ["Kafka has not answered for 16 s"]


async def test_an_answer_that_there_is_nothing_new_is_an_answer() -> None:
    async with working(World(terms=terms_of())) as worker:
        await worker.read()
        rest(worker, SILENT_AFTER_S + 1)
        await worker.read()
        faults = worker.engine.status().held_for

    assert faults == []


async def test_records_are_an_answer() -> None:
    world = World(terms=terms_of())
    async with working(world) as worker:
        await worker.read()
        rest(worker, SILENT_AFTER_S + 1)
        for number in range(10):
            world.broker.write(("clicks", 0), click(f"c-{number}", day(0)), day(0))
        world.broker.answer(("clicks", 0))
        await worker.take(most={("clicks", 0): 5})
        faults = worker.engine.status().held_for

    assert faults == []


async def test_a_worker_without_partitions_waits_for_no_answer() -> None:
    async with working(World(terms=terms_of())) as worker:
        await worker.engine.assigned(worker.generation, [])
        await worker.take()
        rest(worker, 60)
        await worker.take()
        faults = worker.engine.status().held_for

    assert faults == []
