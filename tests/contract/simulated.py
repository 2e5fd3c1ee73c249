"""The simulated Kafka in a loop of real time, for the suites that hold it to what the real one keeps."""

import asyncio
import time

from tests.simulation.broker import Broker
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.network import Network, Server


def simulated_cluster() -> SimulatedCluster:
    """Return an empty cluster behind a good network. To be called in a running loop."""
    loop = asyncio.get_running_loop()
    broker = Broker(lambda: time.time_ns() // 1_000_000, loop.call_later)
    return SimulatedCluster(broker, Network(0), Server("kafka"))
