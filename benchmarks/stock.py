"""The same job as most would write it first: a stock Faust agent, one Redis GET and SET an event.

Reads events one by one, forgets repeats by their ids, keeps counters, net revenue and lifecycle of the customer as
JSON in Redis, and sends a change record when the lifecycle moves. It promises less than the worker does: after a
crash it repeats changes and counts, and nothing ever becomes inactive.

Usage: python -m benchmarks.stock BOOTSTRAP REDIS_URL EVENTS DATADIR
"""

import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import faust
from redis.asyncio import Redis

from benchmarks.machine import WORKER_CORE

IDS_KEPT = 16
TOPICS = ("stock.orders", "stock.clicks", "stock.support")
CHANGES = "stock.changes"


def fresh() -> dict[str, Any]:
    """Return the profile of one who was never seen."""
    return {"ids": [], "counts": {}, "orders": {}, "lifecycle": None, "told": 0}


def moved(profile: dict[str, Any], event: dict[str, Any]) -> str | None:
    """Put an event into a profile; return the lifecycle it led to, or None where nothing is to be told."""
    if event["event_id"] in profile["ids"]:
        return None
    profile["ids"] = [*profile["ids"], event["event_id"]][-IDS_KEPT:]
    kind = event["type"]
    profile["counts"][kind] = profile["counts"].get(kind, 0) + 1
    orders = profile["orders"]
    if kind == "order.placed":
        orders.setdefault(event["order_id"], int(Decimal(event["amount"]) * 100))
    elif kind == "order.refunded":
        orders[event["order_id"]] -= int(Decimal(event["amount"]) * 100)
    elif kind == "order.cancelled":
        orders[event["order_id"]] = 0
    counting = sum(1 for net in orders.values() if net > 0)
    profile["count"], profile["net"] = counting, sum(orders.values())
    before, after = profile["lifecycle"], ("prospect", "new", "repeat")[min(2, counting)]
    if before == after:
        return None
    profile["lifecycle"], profile["told"] = after, profile["told"] + 1
    return after


def build(bootstrap: str, redis_url: str, events: int, directory: Path) -> faust.App:
    """Return the app; it says `stock_done` and its CPU seconds when it has seen this many events."""
    app = faust.App(
        "stock",
        broker=f"kafka://{bootstrap}",
        datadir=directory,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
        value_serializer="json",
    )
    changes = app.topic(CHANGES, value_serializer="json")
    redis = Redis.from_url(redis_url)
    seen, started_s = 0, 0.0

    async def segment(stream: Any) -> None:
        nonlocal seen, started_s
        async for event in stream:
            if not seen:
                started_s = time.process_time()
            customer = event["customer_id"]
            stored = await redis.get(customer)
            profile = json.loads(stored) if stored else fresh()
            before, after = profile["lifecycle"], moved(profile, event)
            await redis.set(customer, json.dumps(profile))
            if after is not None:
                change = {"customer_id": customer, "before": before, "after": after, "cause": event["event_id"]}
                await changes.send(key=customer, value=change)
            seen += 1
            if seen == events:
                await app.producer.flush()
                print(f"stock_done {time.process_time() - started_s:.3f}", flush=True)

    app.agent(app.topic(*TOPICS, value_serializer="json"))(segment)
    return app


def main() -> None:
    bootstrap, redis_url, events, directory = sys.argv[1:]
    os.sched_setaffinity(0, {WORKER_CORE})
    app = build(bootstrap, redis_url, int(events), Path(directory))
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
