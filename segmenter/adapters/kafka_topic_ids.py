"""Which incarnation of a topic there is: Kafka gives each topic an id that a topic made anew does not have.

aiokafka 0.14 asks for metadata in a form that knows no ids, so the form that does (version 12)
is written down here. It uses what aiokafka keeps to itself; the test on a real broker is the alarm.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from segmenter.adapters.kafka_reach import answering

_NO_ID = uuid.UUID(int=0)
_REQUEST_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """The id of a topic, and how many partitions it has."""

    id: str
    partitions: int


async def topic_identities(bootstrap: str, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
    """Return the identity of each topic that there is; nothing of a cluster that gives no ids.

    Raises TransientError when it does not answer.
    """
    async with answering(bootstrap):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            answer = await admin._send_request(_TopicsRequest(sorted(topics)))
        except (NotImplementedError, IncompatibleBrokerVersion):
            return {}
        finally:
            await admin.close()
    return {
        name: TopicIdentity(identity.hex, len(partitions))
        for error, name, identity, _, partitions, *_ in answer.topics
        if error == 0 and identity != _NO_ID
    }


class _Uuid(AbstractType):  # type: ignore[misc]  # aiokafka is not typed
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        """Return the bytes."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        """Return the id."""
        return uuid.UUID(bytes=data.read(16))


_TEXT = CompactString("utf-8")
_PARTITION = (
    *(("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32)),
    *((name, CompactArray(Int32)) for name in ("replicas", "isr", "offline")),
    ("tags", TaggedFields),
)


class _TopicsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                *(("error_code", Int16), ("name", _TEXT), ("topic_id", _Uuid), ("is_internal", Boolean)),
                *(("partitions", CompactArray(*_PARTITION)), ("operations", Int32), ("tags", TaggedFields)),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TopicsRequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION, RESPONSE_TYPE = 3, 12, _TopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicsRequest(Request[_TopicsRequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[Any]) -> Any:
        """Return the request: asked about a topic that is not there, the broker does not make it."""
        return request_struct_class([(_NO_ID, topic, {}) for topic in self._topics], False, False, {})
