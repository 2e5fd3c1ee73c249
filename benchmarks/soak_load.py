"""A shop that sends at an even rate for as long as it is let, in a thread, and keeps the books."""

import threading
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from random import Random

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.bench import LANES
from benchmarks.figures import expect
from benchmarks.live import LINGER_MS, now
from benchmarks.shop import ORDERS, Purse, Shop, customer_id
from segmenter.adapters.home import home_of
from segmenter.domain.instants import SECOND, Instant

RATE = 400
REGULARS = 5_000
_SHARE_OF_NEW = 2 / RATE
_PAUSE_S = 0.002


class Load(AbstractContextManager["Load"]):
    """Sends each event when its time has come, whatever became of those before. `purses` has everybody,
    `sent_to` how much went into each partition.
    """

    def __init__(self, bootstrap: str) -> None:
        self.sent = 0
        self.orders = 0
        self.latest_ms = 0.0
        self.sent_to: Counter[str] = Counter()
        # A broker on a busy machine may not answer for a minute; what is sent again then must not come twice.
        options = {"bootstrap.servers": bootstrap, "linger.ms": LINGER_MS, "enable.idempotence": True}
        self._producer = Producer(options)
        self._random, self._shop, self._customers = Random(29), Shop(0), REGULARS
        # By the number in the event's id; eight bytes an event are little, and a dictionary of an hour is not.
        self._sent_at: array[int] = array("q")
        self._refused = 0
        self._is_over = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    @property
    def purses(self) -> Mapping[str, Purse]:
        """Return what each customer's orders must come to."""
        return self._shop.purses

    def sent_at(self, event_id: str) -> Instant:
        """Return when an event was handed to its producer."""
        return self._sent_at[int(event_id.removeprefix("e")) - 1]

    def stop(self) -> None:
        """Send no more; CheckError unless Kafka has taken everything."""
        self._is_over = True
        self._thread.join()
        self.raise_what_ended_it()
        expect("events that Kafka did not take", self._producer.flush(60) + self._refused, 0)

    def raise_what_ended_it(self) -> None:
        """Raise what has ended the thread before its time; nothing where it runs."""
        if self._error is not None:
            raise RuntimeError("the load has ended by itself") from self._error

    def _run(self) -> None:
        try:
            self._send_on_time(now() + SECOND)
        except Exception as error:  # noqa: BLE001  # whatever it is, the main thread raises it
            self._error = error

    def _send_on_time(self, start: Instant) -> None:
        while not self._is_over:
            due = start + self.sent * SECOND // RATE
            if (at := now()) < due:
                self._producer.poll(0)
                time.sleep(_PAUSE_S)
                continue
            self.latest_ms = max(self.latest_ms, (at - due) / 1_000)
            self._send(at)

    def _send(self, at: Instant) -> None:
        if self._random.random() < _SHARE_OF_NEW:
            self._customers += 1
            event = self._shop.order(customer_id(self._customers), at)
        else:
            event = self._shop.event(customer_id(self._random.randrange(REGULARS)), at)
        self.sent += 1
        self.orders += event.topic == ORDERS
        self._sent_at.append(at)
        key, home = event.customer.encode(), home_of(event.customer, LANES)
        self.sent_to[f"{event.topic}/{home}"] += 1
        self._producer.produce(
            event.topic, event.value, key, home, timestamp=at // 1_000, on_delivery=self._on_delivery
        )

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        self._refused += error is not None

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
