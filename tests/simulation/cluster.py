"""The simulated Kafka as our outputs see it: a wire and producers, in place of aiokafka's.

Above it the product's own fence, tail reading, batches and forwarding run as they are.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaError, NoError, TopicAuthorizationFailedError
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from segmenter.adapters.fence import Identity
from segmenter.adapters.kafka_cluster import Cluster
from segmenter.adapters.kafka_wire import LogBatch, Partition, Wire
from segmenter.errors import TransientError
from segmenter.ports import Body
from tests.simulation.broker import Broker
from tests.simulation.loop import PROCESS
from tests.simulation.network import Network, Server, UnansweredError

REQUEST_TIMEOUT_S = 5.0
PRODUCE_TIMEOUT_S = 10.0
BACKOFF_S = 0.02
BATCHES_A_FETCH = 8


class SimulatedCluster(Cluster):
    """A cluster of one broker behind a network."""

    def __init__(self, broker: Broker, network: Network, server: Server) -> None:
        super().__init__("simulated:9092")
        self.broker = broker
        self._network = network
        self.server = server
        self.muted: set[tuple[str, int]] = set()
        """Source partitions whose leader is away."""
        self.refused: frozenset[str] = frozenset()
        """Topics that nobody may write to."""
        self.refusals: Counter[Partition] = Counter()
        self.deposed: dict[str, dict[Partition, int]] = {}
        """By process, where the logs ended that it is shown by a leader who leads no more."""

    def depose(self, process: str) -> None:
        """Show a process the logs as they are now, for as long as it is in `deposed`."""
        self.deposed[process] = {place: log.end for place, log in self.broker.logs.items()}

    def shown_end(self, place: Partition, process: str) -> int:
        """Return the end of a partition as a process sees it."""
        end = self.broker.log(*place).end
        return min(end, self.deposed[process].get(place, 0)) if process in self.deposed else end

    def produce(self, place: Partition, bodies: Sequence[Body], identity: Identity, sequence: int) -> None:
        """Add a batch to a partition that takes it."""
        if place.topic in self.refused:
            self.refusals[place] += 1
            raise TopicAuthorizationFailedError
        self.broker.log(*place).produce(bodies, identity, sequence, self.broker.now_ms())

    def wire(self, client_id: str) -> Wire:
        """See Cluster."""
        return SimulatedWire(self, client_id)

    def producer(self, identity: Identity | None, **options: Any) -> "SimulatedProducer":
        """See Cluster."""
        return SimulatedProducer(self, identity, options["max_batch_size"])

    async def ask(
        self, name: str, deed: Callable[[], Any], timeout_s: float = REQUEST_TIMEOUT_S, lane: object = None
    ) -> Any:
        """Send a request; raises UnansweredError or what the broker answers."""
        tag = "" if lane is None else f"kafka {lane}"
        return await self._network.call(self.server, f"kafka {name}", deed, timeout_s, tag)


class SimulatedWire(Wire):
    """Single requests to the simulated broker."""

    def __init__(self, cluster: SimulatedCluster, client_id: str) -> None:
        super().__init__(cluster.bootstrap, client_id)
        self._cluster = cluster

    async def ask_coordinator(self, transactional_id: str, request: Any) -> Any:
        """See Wire."""
        broker, asked = self._cluster.broker, request.build(request._CLASSES[0])
        lane = transactional_id.rpartition("-")[2]
        match request:
            case InitProducerIdRequest():
                return await self._asked("init", lane, lambda: _initialised(broker, transactional_id))
            case AddPartitionsToTxnRequest():
                places = [Partition(topic, number) for topic, numbers in asked.topics for number in numbers]
                identity = (asked.producer_id, asked.producer_epoch)
                return await self._asked("join", lane, lambda: _joined(broker, transactional_id, identity, places))
            case EndTxnRequest():
                identity = (asked.producer_id, asked.producer_epoch)
                return await self._asked("end", lane, lambda: _ended(broker, transactional_id, identity))
            case _:
                raise AssertionError(f"the broker does not know {request}")

    async def find_coordinator(self, transactional_id: str) -> None:
        """Know it: there is one broker."""

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """See Wire."""
        return 0, await self.end(partition)

    async def end(self, partition: Partition) -> int:
        """See Wire."""
        me = _me()
        end: int = await self._asked("bounds", partition.number, lambda: self._cluster.shown_end(partition, me))
        return end

    async def batches(self, partition: Partition, first: int, end: int) -> AsyncIterator[LogBatch]:
        """See Wire."""
        position, me = first, _me()
        while position < end:
            found = await self._asked("read", partition.number, lambda at=position: self._read(partition, at, me))
            for batch in found:
                if position < end and batch.next_offset > position:
                    position = batch.next_offset
                    yield batch

    def _read(self, partition: Partition, position: int, me: str) -> list[LogBatch]:
        found = self._cluster.broker.log(*partition).from_offset(position)[:BATCHES_A_FETCH]
        end = self._cluster.shown_end(partition, me)
        return [batch for batch in found if batch.next_offset <= end]

    async def _asked(self, name: str, lane: object, deed: Callable[[], Any]) -> Any:
        try:
            return await self._cluster.ask(name, deed, lane=lane)
        except UnansweredError as error:
            raise TransientError(f"the simulated Kafka did not answer: {error}") from error


def _me() -> str:
    process = PROCESS.get()
    return "" if process is None else process.name


def _code(deed: Callable[[], Any]) -> int:
    try:
        deed()
    except KafkaError as error:
        return error.errno
    return NoError.errno


def _initialised(broker: Broker, transactional_id: str) -> SimpleNamespace:
    try:
        producer_id, epoch = broker.initialise(transactional_id)
    except KafkaError as error:
        return SimpleNamespace(error_code=error.errno, producer_id=-1, producer_epoch=-1)
    return SimpleNamespace(error_code=NoError.errno, producer_id=producer_id, producer_epoch=epoch)


def _joined(broker: Broker, name: str, identity: tuple[int, int], places: Sequence[Partition]) -> SimpleNamespace:
    code = _code(lambda: broker.join(name, identity, places))
    return SimpleNamespace(errors=[(place.topic, [(place.number, code)]) for place in places])


def _ended(broker: Broker, name: str, identity: tuple[int, int]) -> SimpleNamespace:
    return SimpleNamespace(error_code=_code(lambda: broker.commit(name, identity)))


class SimulatedBatch:
    """A batch in the making."""

    def __init__(self, max_bytes: int) -> None:
        self.bodies: list[Body] = []
        self._left = max_bytes

    def append(
        self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> object | None:
        """Add a record; None: it does not fit any more."""
        size = len(key or b"") + len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers)
        if self.bodies and size > self._left:
            return None
        self._left -= size
        self.bodies.append(Body(key, value, tuple(headers)))
        return self

    def record_count(self) -> int:
        """Count its records."""
        return len(self.bodies)


_Sent = tuple[SimulatedBatch, "asyncio.Future[object]"]


class SimulatedProducer:
    """An idempotent producer: one batch of a partition after the other, repeated while no answer comes.

    It has those inner parts of aiokafka's that the product's fence reaches for.
    """

    def __init__(self, cluster: SimulatedCluster, identity: Identity | None, max_batch_bytes: int) -> None:
        self._cluster = cluster
        self._identity = identity
        self._max_batch_bytes = max_batch_bytes
        self._closed = False
        self._waiting: defaultdict[Partition, deque[_Sent]] = defaultdict(deque)
        self._sequences: defaultdict[Partition, int] = defaultdict(int)
        self._senders: dict[Partition, asyncio.Task[None]] = {}
        self._sender = SimpleNamespace(sender_task=None)
        self._message_accumulator = SimpleNamespace(fail_all=self._fail_all)
        self.client = _Client()

    @property
    def _txn_manager(self) -> SimpleNamespace:
        assert self._identity is not None
        return SimpleNamespace(producer_id=self._identity.producer_id, producer_epoch=self._identity.epoch)

    async def start(self) -> None:
        """Get an identity, where there is none yet; asks until it is answered."""
        while self._identity is None:
            try:
                producer_id = await self._cluster.ask("init", self._cluster.broker.new_producer_id)
            except UnansweredError:
                await asyncio.sleep(BACKOFF_S)
            else:
                self._identity = Identity(producer_id, 0)

    def create_batch(self) -> SimulatedBatch:
        """Return an empty batch."""
        return SimulatedBatch(self._max_batch_bytes)

    async def send_batch(self, batch: SimulatedBatch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        """Send it after all before it; the future ends with the broker's word."""
        place = Partition(topic, partition)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[place].append((batch, done))
        if place not in self._senders:
            self._senders[place] = asyncio.create_task(self._send(place), name=f"sender {topic}/{partition}")
        return done

    async def _send(self, place: Partition) -> None:
        while self._waiting[place] and not self._closed:
            batch, done = self._waiting[place][0]
            error = await self._deliver(place, batch)
            if self._closed:
                return
            self._waiting[place].popleft()
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        del self._senders[place]

    async def _deliver(self, place: Partition, batch: SimulatedBatch) -> KafkaError | None:
        """Repeat one batch under its number until it is answered or nobody wants it any more."""
        sequence = self._sequences[place]
        self._sequences[place] += batch.record_count()
        cluster, identity = self._cluster, self._identity
        assert identity is not None
        while not self._closed:
            try:
                await self._cluster.ask(
                    f"produce {place.topic}/{place.number} {identity.producer_id}:{identity.epoch}:{sequence}",
                    lambda: cluster.produce(place, batch.bodies, identity, sequence),
                    PRODUCE_TIMEOUT_S,
                    place.number,
                )
            except UnansweredError:
                await asyncio.sleep(BACKOFF_S)
            except KafkaError as error:
                return error
            else:
                return None
        return None

    def _fail_all(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)
                    done.exception()


class _Client:
    _md_update_fut: "asyncio.Future[bool] | None" = None

    async def close(self) -> None:
        """Nothing is connected."""
