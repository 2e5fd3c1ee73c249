"""A real Apache Kafka on loopback ports: one broker or three, started in a second each."""

import base64
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import kafka_jars
from tests.bench.process import Child, free_ports, scratch_directory

_START_TIMEOUT_S = 60

# What a small broker needs to be quick: few internal partitions, no waiting for company.
_QUICK = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "log.cleaner.threads": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.coordinator.append.linger.ms": "0",
    "controller.quorum.append.linger.ms": "0",
    # A killed broker comes back when its old registration has ended: 3 s where 9 is the default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.cleaner.backoff.ms": "1000",
}


class KafkaCluster:
    """Brokers that know only each other. Data survives `kill` and `restart`, and is gone after `stop`.

    Nodes are numbered from 1. With three brokers every topic has three replicas of which two must
    be in sync, so the cluster goes on when any one of them is killed.
    """

    def __init__(self, brokers: int = 1, *, settings: Mapping[str, str] | None = None, heap: str = "512m") -> None:
        ports = free_ports(2 * brokers)
        self._client_port = dict(enumerate(ports[:brokers], start=1))
        self._controller_port = dict(enumerate(ports[brokers:], start=1))
        self._settings = dict(settings or {})
        self._heap = heap
        self._children: dict[int, Child] = {}
        self._directory = Path()

    @property
    def bootstrap(self) -> str:
        """The client addresses of all nodes, as `host:port,host:port`."""
        return ",".join(f"127.0.0.1:{port}" for port in self._client_port.values())

    @property
    def nodes(self) -> list[int]:
        """The node numbers, running or not."""
        return list(self._client_port)

    def start(self) -> Self:
        """Return when every broker serves. Raises KafkaUnavailableError where none can run."""
        snapshot = kafka_jars.bootstrap_checkpoint()
        self._directory = scratch_directory("kafka")
        cluster_id = _kafka_uuid()
        for node in self.nodes:
            self._format(node, cluster_id, snapshot)
            self._launch(node)
        self._wait(self.nodes)
        return self

    def stop(self) -> None:
        """End all brokers and delete their data."""
        keep_classes = not kafka_jars.class_archive().exists()
        for node, child in self._children.items():
            if keep_classes and node == 1:
                child.stop()
                self._keep_class_archive()
            else:
                child.kill()
        self._children.clear()
        shutil.rmtree(self._directory, ignore_errors=True)

    def kill(self, node: int = 1) -> None:
        """End one broker as a crash would."""
        self._children[node].kill()

    def stop_node(self, node: int = 1) -> None:
        """End one broker cleanly: it hands over its leaderships first."""
        self._children[node].stop()

    def restart(self, node: int = 1) -> None:
        """Start a killed or stopped broker again on its port, and return when it serves."""
        self._launch(node)
        self._wait([node])

    def pause(self, node: int = 1) -> None:
        """Freeze one broker: connections stay open and nothing answers."""
        self._children[node].pause()

    def resume(self, node: int = 1) -> None:
        """Let a paused broker go on."""
        self._children[node].resume()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self, node: int, cluster_id: str, snapshot: Path) -> None:
        """Write what Kafka's storage tool would write, in a millisecond instead of a second."""
        logs = self._directory / str(node)
        logs.mkdir()
        shutil.copyfile(snapshot, logs / "bootstrap.checkpoint")
        (logs / "meta.properties").write_text(
            f"version=1\ncluster.id={cluster_id}\nnode.id={node}\ndirectory.id={_kafka_uuid()}\n"
        )
        settings = _QUICK | self._placement(node) | self._settings
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self._directory / f"{node}.properties").write_text(lines)

    def _placement(self, node: int) -> dict[str, str]:
        replicas = str(min(3, len(self.nodes)))
        in_sync = "2" if len(self.nodes) >= 3 else "1"
        client, controller = self._client_port[node], self._controller_port[node]
        voters = [f"{other}@127.0.0.1:{port}" for other, port in self._controller_port.items()]
        return {
            "node.id": str(node),
            "log.dirs": str(self._directory / str(node)),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
        }

    def _launch(self, node: int) -> None:
        archive = kafka_jars.class_archive()
        use, make = f"SharedArchiveFile={archive}", f"ArchiveClassesAtExit={self._new_archive}"
        options = [
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-XX:{use if archive.exists() else make}",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
        ]
        config = str(self._directory / f"{node}.properties")
        self._children[node] = Child(
            ["java", *options, "-cp", kafka_jars.class_path(), "kafka.Kafka", config],
            log=self._directory / f"{node}.log",
        )

    @property
    def _new_archive(self) -> Path:
        return self._directory / "classes.jsa"

    def _keep_class_archive(self) -> None:
        if self._new_archive.exists():
            kept = kafka_jars.class_archive()
            partial = kept.with_name(f"{kept.name}.{os.getpid()}")
            shutil.copyfile(self._new_archive, partial)
            partial.replace(kept)

    def _wait(self, nodes: list[int]) -> None:
        for node in nodes:
            self._children[node].wait_until_it_says("Kafka Server started", _START_TIMEOUT_S)


def _kafka_uuid() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
