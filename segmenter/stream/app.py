"""The Faust app: settings that are safe, our consumer in place of Faust's, and one agent for all topics."""

import uuid
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Protocol

import faust
from faust.tables.manager import TableManager

from segmenter.stream.binding import Binding
from segmenter.stream.consumer import BatchTransport
from segmenter.stream.handoff import Handoff


class _Stream(Protocol):
    """As much of Faust's stream as the agent uses."""

    def noack(self) -> AsyncIterable[Handoff]: ...


class _PollSchema(faust.Schema):  # type: ignore[misc]  # Faust is not typed
    """Passes on what our consumer put in: there is nothing to decode."""

    def loads_key(self, app: object, message: object, **options: object) -> None:
        """Return nothing: polls have no key."""

    def loads_value(self, app: object, message: "_Message", **options: object) -> Handoff:
        """Return the poll."""
        return message.value


class _Message(Protocol):
    value: Handoff


class _NoTables(TableManager):  # type: ignore[misc]  # Faust is not typed
    """Starts at once. Faust's own sleeps for a second, in which others may add tables, before it joins the group."""

    async def on_start(self) -> None:
        """Say that all tables are there: none."""
        await self._update_channels()
        await self.recovery.start()


def build_app(binding: Binding, directory: Path) -> faust.App:
    """Return an app that has not started. Faust makes its folders in `directory`; nothing is kept there."""
    settings = binding.settings
    app = faust.App(
        settings.group,
        broker=[f"kafka://{address.strip()}" for address in settings.bootstrap.split(",")],
        autodiscover=False,
        datadir=directory,
        canonical_url=f"http://{_worker_id(settings.instance_id)}.invalid",
        web_enabled=False,
        web_bind="127.0.0.1",
        worker_redirect_stdouts=False,
        # Without a lease on anything, two workers can each believe that they lead; our leader holds a lane's token.
        topic_disable_leader=True,
        topic_allow_declare=False,
        # With 0, Faust silently takes an assignor that does not keep partition p of all topics together.
        table_standby_replicas=1,
        TableManager=_NoTables,
        stream_wait_empty=False,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id=settings.instance_id,
        consumer_max_fetch_size=settings.max_partition_fetch_bytes,
        broker_check_crcs=settings.check_crcs,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=settings.request_timeout_s,
    )
    app.finalize()
    app.transport = BatchTransport(app.conf.broker_consumer, app, binding)
    app.boot_strategy.enable_kafka_producer = False
    _add_agent(app, app.topic(*settings.topics, acks=False, schema=_PollSchema()))
    return app


def _add_agent(app: faust.App, topic: object) -> None:
    """Let `_take_polls` be the app's only agent.

    `app.agent` registers it for programs that look for agents too, and reads all modules' files for that: 40 ms.
    """
    agent = app.conf.Agent(_take_polls, name="lanes", app=app, channel=topic, on_error=app._on_agent_error)
    app.agents[agent.name] = agent
    app.topics.beacon.add(agent)


async def _take_polls(stream: _Stream) -> None:
    """Let the engine take poll after poll. Nothing is acknowledged: positions are stored with what they produced."""
    async for handoff in stream.noack():
        await handoff.carry_out()


def _worker_id(instance_id: str | None) -> str:
    """Return what the assignor tells workers apart by; nobody ever calls this address.

    A static member gets its assignment of before back after a restart, and Faust refuses one that names another
    address: so it is stable where the membership is.
    """
    return uuid.uuid4().hex if instance_id is None else uuid.uuid5(uuid.NAMESPACE_DNS, instance_id).hex
