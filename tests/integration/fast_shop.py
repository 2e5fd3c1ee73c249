"""Sends millions of events with librdkafka, as a shop that is not written in Java does."""

import json
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Producer

from segmenter.domain.instants import MILLISECOND, Instant, rfc3339

JAVAS = "murmur2_random"
"""The partitioner of Java and of `keyed: customer`."""
LIBRDKAFKAS = "consistent_random"
"""The default partitioner of librdkafka: CRC32 of the key."""


class FastShop:
    """A producer. What was sent is in the log when `flush` returns, and when the context ends.

    With a `transaction` of that name nobody may read it before `commit`, or the end of the context.
    """

    def __init__(self, bootstrap: str, partitioner: str, *, transaction: str | None = None) -> None:
        own = {} if transaction is None else {"transactional.id": transaction, "transaction.timeout.ms": 600_000}
        self._is_transactional = transaction is not None
        self._producer = Producer(
            own
            | {
                "bootstrap.servers": bootstrap,
                "partitioner": partitioner,
                "linger.ms": 20,
                "batch.size": 500_000,
                "queue.buffering.max.messages": 500_000,
                "enable.idempotence": True,
                "message.max.bytes": 8_000_000,
                "compression.type": "lz4",
                "log_level": 2,
            }
        )
        self._failures: list[str] = []

    def __enter__(self) -> Self:
        if self._is_transactional:
            self._producer.init_transactions()
            self._producer.begin_transaction()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
            self.commit()
        else:
            self._producer.purge()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        at: Instant,
        *,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Send a record that Kafka stamps with this time; partition -1: the partitioner chooses."""
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=value,
                    key=key,
                    partition=partition,
                    timestamp=at // MILLISECOND,
                    headers=headers,
                    on_delivery=self._note,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Return when all is in the log. Raises AssertionError for what is not."""
        assert self._producer.flush(120) == 0
        assert self._failures == []

    def commit(self) -> None:
        """Let what was sent be read, now rather than at the end of the context."""
        if self._is_transactional:
            self._producer.commit_transaction()
            self._is_transactional = False

    def _note(self, error: object, _: object) -> None:
        if error is not None:
            self._failures.append(str(error))


def order_of(customer: str, order: str, at: Instant, **own: Any) -> bytes:
    """Return an order of 10 EUR as canonical JSON."""
    event = {"event_id": order, "type": "order.placed", "customer_id": customer, "occurred_at": rfc3339(at)}
    return json.dumps({**event, "order_id": order, "amount": "10.00", "currency": "EUR", **own}).encode()


def click_of(customer: str, number: int, at: Instant) -> bytes:
    """Return a click as canonical JSON."""
    return (
        f'{{"event_id":"k-{number}","type":"click","customer_id":"{customer}",'
        f'"occurred_at":"{rfc3339(at)}","kind":"view"}}'
    ).encode()
