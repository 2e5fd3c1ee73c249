"""The postcard "why did you not order?" is never written to a customer whose order is in the pipe.

Two workers, 8 lanes, clicks on dense partitions, few orders; `POSTCARD_CLICKS` says how many clicks.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from segmenter.domain.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, rfc3339
from segmenter.ports import LaneState
from tests.bench.kafka import KafkaCluster
from tests.bench.process import free_ports
from tests.integration.checker import Heard, Told, check, hear
from tests.integration.fast_shop import JAVAS, LIBRDKAFKAS, FastShop, click_of, order_of
from tests.integration.workload import Lanes, Site, until_ready, until_shared

CLICKS = int(os.environ.get("POSTCARD_CLICKS", "120000"))
# Reading 2 M clicks takes minutes; an idle machine reads 120,000 in some seconds.
PATIENCE_S = 90 + CLICKS / 2_000
SILENCE = 150 * DAY
BACKLOG = 200 * DAY
RULES = "lifecycle: {inactive_after: 150d}\nvalue: {min_ranked: 1000000}\n"
BUYERS = [f"buyer-{number}" for number in range(48)]
SILENT = [f"silent-{number}" for number in range(48)]
LAST = 3
"""The partition of orders that is read last."""
CROWD = [*BUYERS, *SILENT, *(f"visitor-{number}" for number in range(5_000))]


@pytest.fixture
def site(kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str], tmp_path: Path) -> Site:
    return Site(bootstrap=kafka.bootstrap, redis_url=redis_url, unique=unique, directory=tmp_path, rules=RULES)


@asynccontextmanager
async def working(site: Site) -> AsyncIterator[Lanes]:
    """Give a look at the lanes when two workers share them; end these with the context."""
    try:
        await asyncio.to_thread(until_ready, [site.start_worker(), site.start_worker()])
        async with site.lanes() as lanes:
            await until_shared(lanes, 2)
            yield lanes
    finally:
        site.stop_workers()


def send_clicks(site: Site, shop: FastShop, start: Instant, span: int, count: int) -> None:
    """Spread clicks of everybody evenly over a span."""
    topic, customers = site.topic("clicks"), [(name, name.encode()) for name in CROWD]
    for number in range(count):
        at = start + span * number // count
        name, key = customers[number * 7919 % len(customers)]
        shop.send(topic, key, click_of(name, number, at), at)


def lifecycles(heard: Heard, customer: str) -> list[tuple[str, str]]:
    """Return the segments into which a customer was told to have moved, with the times from which it counts."""
    told = [change for change in heard.changes if change["customer_id"] == customer]
    return [(_lifecycle(change), change["effective_at"]) for change in told if _lifecycle(change)]


def _lifecycle(change: Told) -> str:
    return "".join(move["after"] for move in change["changes"] if move["dimension"] == "lifecycle")


def check_postcards(heard: Heard, ordered_at: Sequence[Instant]) -> None:
    """Check that no buyer was told to be inactive, and each silent customer once, from his deadline on.

    `ordered_at` are the times of a first and a second order; of each customer the first has its own millisecond.
    """
    check(heard)
    first, _ = ordered_at
    for name in BUYERS:
        told = [segment for segment, _ in lifecycles(heard, name)]
        assert told[-2:] == ["new", "repeat"], f"{name}: {told}"
        assert "inactive" not in told
    for place, name in enumerate(SILENT):
        deadline = first + place * MILLISECOND + SILENCE
        assert lifecycles(heard, name)[-1] == ("inactive", rfc3339(deadline)), name
        assert [segment for segment, _ in lifecycles(heard, name)].count("inactive") == 1


async def test_a_backlog_of_200_days_with_an_order_in_its_middle(site: Site) -> None:
    await site.make_topics()
    now = site.clock.now() // SECOND * SECOND
    start = now - BACKLOG
    first, second = start + HOUR, start + 100 * DAY
    with FastShop(site.bootstrap, JAVAS) as shop:
        send_clicks(site, shop, start, BACKLOG, CLICKS)
        for number, (at, names) in enumerate([(first, BUYERS), (first, SILENT), (second, BUYERS)]):
            for place, name in enumerate(names):
                ordered_at = at + place * MILLISECOND
                record = order_of(name, f"{name}-{number}", ordered_at)
                shop.send(site.topic("orders"), name.encode(), record, ordered_at)

    async with working(site) as lanes:
        await lanes.until_settled(now, PATIENCE_S)
        assert clicks_read(site, await lanes.states()) == CLICKS

    check_postcards(await hear(site.bootstrap, site.outputs()), (first, second))


def clicks_read(site: Site, states: Sequence[LaneState]) -> int:
    """Return how many clicks were read and stored."""
    return sum(state.positions.get(f"{site.topic('clicks')}/{state.lane}", 0) for state in states)


async def test_the_same_backlog_keyed_by_order_and_the_partition_with_the_order_read_last(site: Site) -> None:
    site.keyed, site.counts = {"orders": "other"}, {"orders": 4}
    await site.make_topics()
    now = site.clock.now() // SECOND * SECOND
    start = now - BACKLOG
    first, second = start + HOUR, start + 100 * DAY
    with FastShop(site.bootstrap, LIBRDKAFKAS) as shop:
        send_orders_of_order_keys(site, shop, start, first)
    with FastShop(site.bootstrap, JAVAS) as shop:
        send_clicks(site, shop, start, BACKLOG, CLICKS)

    # In the log before any worker starts, and read when all else was read for as long as we like.
    with FastShop(site.bootstrap, LIBRDKAFKAS, transaction=site.unique("late")) as late:
        for name in BUYERS:
            late.send(
                site.topic("orders"), name.encode(), order_of(name, f"{name}-2", second), second, partition=LAST
            )
        late.flush()
        async with working(site) as lanes:
            await lanes.until(lambda states: clicks_read(site, states) == CLICKS, PATIENCE_S)
            await asyncio.sleep(3)
            assert max(state.notes.watermark for state in await lanes.states()) < second
            late.commit()
            await lanes.until_settled(now, PATIENCE_S)

    check_postcards(await hear(site.bootstrap, site.outputs()), (first, second))


def send_orders_of_order_keys(site: Site, shop: FastShop, start: Instant, first: Instant) -> None:
    """Send everybody's first order, and a long row of others to the partition that will be read last."""
    topic = site.topic("orders")
    for names in (BUYERS, SILENT):
        for place, name in enumerate(names):
            at = first + place * MILLISECOND
            shop.send(topic, b"%d" % place, order_of(name, f"{name}-1", at), at, partition=place % LAST)
    padding = CLICKS // 10
    for number in range(padding):
        at = start + 99 * DAY * number // padding
        shop.send(topic, b"%d" % number, order_of(f"other-{number % 2_000}", f"p-{number}", at), at, partition=LAST)


@dataclass
class CutKafka:
    """A broker with two doors: one for the test, and one for the workers that can be cut."""

    bootstrap: str
    workers_bootstrap: str
    cable: "Cable"


class Cable:
    """Passes bytes on to a port, or keeps them while it is cut: connections stay open, and nothing answers."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._pumps: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        self._is_whole.clear()

    def mend(self) -> None:
        self._is_whole.set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Cable"]:
        """Listen, until the end of the context."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            self.mend()
            server.close()
            for pump in list(self._pumps):
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            await server.wait_closed()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_whole.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._is_whole.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def kafka_with_a_cable() -> AsyncIterator[CutKafka]:
    """Start a broker of one's own, as its addresses cannot be changed later."""
    client, inner, controller, outer = free_ports(4)
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{client},CABLE://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client},CABLE://127.0.0.1:{outer}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CABLE:PLAINTEXT",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }
    with KafkaCluster(settings=settings):
        async with Cable(outer, inner).laid() as cable:
            yield CutKafka(f"127.0.0.1:{client}", f"127.0.0.1:{outer}", cable)


async def test_workers_cut_off_for_an_hour_while_orders_pile_up(
    kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    async with kafka_with_a_cable() as cut:
        site = Site(
            bootstrap=cut.bootstrap,
            workers_bootstrap=cut.workers_bootstrap,
            redis_url=redis_url,
            unique=unique,
            directory=tmp_path,
            rules=RULES,
            keyed={"customers": "other"},
            counts={"customers": 3},
        )
        await site.make_topics()
        first = site.clock.now() // SECOND * SECOND - SILENCE + 10 * MINUTE
        send_orders(site, BUYERS, first, 1)
        send_orders(site, SILENT, first, 1)
        async with working(site) as lanes:
            second = await live_through_a_cut(site, lanes, cut.cable)
        heard = await hear(site.bootstrap, site.outputs())

    check_postcards(heard, (first, second))


async def live_through_a_cut(site: Site, lanes: Lanes, cable: Cable) -> Instant:
    """Work live, be cut off for an hour, and catch up; return when the buyers ordered again."""
    cut_at = site.clock.now()
    await lanes.until_settled(cut_at, PATIENCE_S)
    cable.cut()
    site.clock.advance(HOUR)
    second = cut_at + 5 * MINUTE
    with FastShop(site.bootstrap, JAVAS) as shop:
        send_clicks(site, shop, cut_at, HOUR, CLICKS // 10)
    send_orders(site, BUYERS, second, 2)
    # Long enough for the group to give the workers up.
    await asyncio.sleep(8)
    assert max(state.notes.watermark for state in await lanes.states()) < second
    cable.mend()
    await lanes.until_settled(cut_at + HOUR, PATIENCE_S)
    return second


def send_orders(site: Site, names: Sequence[str], at: Instant, number: int) -> None:
    """Let each order a millisecond after the one before: every other one in a topic that is keyed by order."""
    with FastShop(site.bootstrap, JAVAS) as direct, FastShop(site.bootstrap, LIBRDKAFKAS) as other:
        for place, name in enumerate(names):
            order, ordered_at = f"{name}-{number}", at + place * MILLISECOND
            record = order_of(name, order, ordered_at)
            if place % 2:
                other.send(site.topic("customers"), order.encode(), record, ordered_at)
            else:
                direct.send(site.topic("orders"), name.encode(), record, ordered_at)
