"""Runs the stock agent on part of the same history, and holds what it left against the same books."""

import json
import sys
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from benchmarks import stock
from benchmarks.bench import LANES, Servers, publish
from benchmarks.figures import expect
from benchmarks.shop import Purse, Shop
from segmenter.domain.instants import Span
from tests.bench.process import Child

STOCK_TOPICS = (*stock.TOPICS, stock.CHANGES)
_TIMEOUT_S = 180.0
_DATABASE = 1


@dataclass(frozen=True, slots=True)
class StockFigure:
    """What the stock agent did, checked."""

    events: int
    cpu_s: float
    changes: int
    customers: int

    @property
    def rate(self) -> float:
        """Events a CPU-second."""
        return self.events / self.cpu_s


def run_stock(at: Servers, customers: int, count: int, span: Span) -> StockFigure:
    """Publish this many events to topics of its own, let the agent work them off, and check what came of it."""
    shop, now = Shop(customers), time.time_ns() // 1_000
    sent = shop.history(count, now - span, now)
    total = publish(at.kafka.bootstrap, sent, {name.removeprefix("stock."): name for name in stock.TOPICS}).total()
    url = at.redis.url.removesuffix("/0") + f"/{_DATABASE}"
    command = [sys.executable, "-m", "benchmarks.stock", at.kafka.bootstrap, url, str(total), str(at.directory)]
    child = Child(command, log=at.directory / "stock.log")
    try:
        child.wait_until_it_says("stock_done", _TIMEOUT_S)
    finally:
        child.stop(5)
    cpu_s = float(child.output().partition("stock_done ")[2].split()[0])
    changes = _read_changes(at.kafka.bootstrap)
    expect("changes of the stock agent", changes, _check(at, url, shop.purses))
    return StockFigure(total, cpu_s, changes, len(shop.purses))


def _check(at: Servers, url: str, purses: dict[str, Purse]) -> int:
    """Hold every customer against the books; return how many changes were told of them all."""
    told = 0
    with at.redis.client(url) as redis:
        for customer, purse in purses.items():
            profile = json.loads(redis.get(customer) or "{}")
            found = profile.get("count"), profile.get("net")
            expect(f"stock: orders and net of {customer}", found, (purse.orders, purse.net))
            told += profile["told"]
    return told


def _read_changes(bootstrap: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "read-back"})
    try:
        ends = (consumer.get_watermark_offsets(TopicPartition(stock.CHANGES, lane)) for lane in range(LANES))
        return sum(end - start for start, end in ends)
    finally:
        consumer.close()
