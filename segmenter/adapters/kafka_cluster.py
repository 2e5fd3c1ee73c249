"""A Kafka cluster as our outputs need it: a wire for single requests, and producers.

The one seam below the outputs: a simulated cluster gives both too, and everything above it runs as it is.
"""

from aiokafka import AIOKafkaProducer

from segmenter.adapters.fence import Identity, producer_with
from segmenter.adapters.kafka_wire import Vendor, Wire


class Cluster:
    """A real one, at this address. Nothing is connected before it is used."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def wire(self, client_id: str) -> Wire:
        """Return connections for single requests."""
        return Wire(self.bootstrap, client_id)

    def producer(self, identity: Identity | None, **options: Vendor) -> Vendor:
        """Return an idempotent producer, not started yet, that writes as this identity or as one of its own."""
        if identity is not None:
            return producer_with(identity, **options)
        return AIOKafkaProducer(enable_idempotence=True, **options)
