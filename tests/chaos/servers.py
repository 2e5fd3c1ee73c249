"""What a topology stands on: three Kafka brokers, and Redis with Sentinels or as a cluster; many runs use them."""

from contextlib import ExitStack
from enum import StrEnum
from types import TracebackType
from typing import Self

from tests.bench.kafka import KafkaCluster
from tests.bench.redis_sets import RedisClusterOfPrimaries, RedisNode, RedisWithSentinel, until

_HEAP = "320m"


class Topology(StrEnum):
    """How Redis is run."""

    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Servers:
    """All servers of a topology; `reset` makes them whole and Redis empty for the next run."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.kafka = KafkaCluster(3, heap=_HEAP)
        self.redis: RedisWithSentinel | RedisClusterOfPrimaries = (
            RedisWithSentinel() if topology is Topology.SENTINEL else RedisClusterOfPrimaries()
        )
        self._stack = ExitStack()

    @property
    def sentinel(self) -> RedisWithSentinel:
        """The servers of the topology `sentinel`."""
        assert isinstance(self.redis, RedisWithSentinel)
        return self.redis

    @property
    def cluster(self) -> RedisClusterOfPrimaries:
        """The servers of the topology `cluster`."""
        assert isinstance(self.redis, RedisClusterOfPrimaries)
        return self.redis

    def primaries(self) -> list[RedisNode]:
        """Return the nodes that take writes."""
        return [self.sentinel.primary()] if self.topology is Topology.SENTINEL else self.cluster.nodes

    def reset(self) -> None:
        """Return when all is whole again; Redis holds nothing then."""
        for node in self.redis.nodes:
            node.proxy.heal()
        until(self.redis.is_whole, 40)
        for node in self.primaries():
            node.ask("FLUSHALL")

    def start(self) -> Self:
        """Return when all serve. Raises KafkaUnavailableError where no Kafka can run."""
        with ExitStack() as starting:
            starting.enter_context(self.redis)
            starting.enter_context(self.kafka)
            self._stack = starting.pop_all()
        return self

    def stop(self) -> None:
        """End all of them."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
