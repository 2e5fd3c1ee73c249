"""The AsyncAPI 3.1 document: every topic with its key, its policy and its records, seen from the segmenter."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from segmenter.adapters.records import CHANGED, MEMBERSHIP

Json: TypeAlias = str | int | bool | Mapping[str, "Json"] | Sequence["Json"]

VERSION = "3.1.0"
CONTRACT_VERSION = "1.0.0"
BINDING = "0.5.0"
LANES = 8
_JSON_SCHEMA = "application/schema+json;version=draft-2020-12"
_INPUTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "orders": ("What becomes of orders.", ("order",)),
    "clicks": ("What customers look at.", ("click",)),
    "support": ("Tickets, and how customers judge them.", ("support",)),
    "customers": ("What shops know of customers, and how they write to them.", ("customer", "contact")),
}
_KEY = "The customer, as `shop/customer_id` where the events name a shop."


def asyncapi(event_types: Sequence[str]) -> dict[str, Json]:
    """Return the document, given the types of events; schemas are referred to by file."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "segmenter",
            "version": CONTRACT_VERSION,
            "description": "Events of customers come in, every move between their segments goes out, to the second.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "As the setting `kafka_bootstrap` says.",
                "bindings": {"kafka": {"bindingVersion": BINDING}},
            }
        },
        "channels": {
            **{name: _input(name, event_types) for name in _INPUTS},
            "rekeyed": _rekeyed(),
            **_outputs(),
        },
        "operations": {
            **{f"receive_{name}": _operation("receive", name) for name in (*_INPUTS, "rekeyed")},
            **{f"send_{name}": _operation("send", name) for name in ("rekeyed", *_outputs())},
        },
        "components": {"messages": {**_event_messages(event_types), **_own_messages()}},
    }


def _input(name: str, event_types: Sequence[str]) -> dict[str, Json]:
    description, families = _INPUTS[name]
    kinds = [kind for kind in event_types if kind.split(".")[0] in families]
    return {
        "address": name,
        "description": f"{description} Plain JSON, or CloudEvents 1.0 in binary or structured mode. Any key, any "
        "partitioner and any number of partitions will do, unless the topic is declared as keyed by customer.",
        "messages": {_called(kind): {"$ref": f"#/components/messages/{_called(kind)}"} for kind in kinds},
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": ["delete"]}, "bindingVersion": BINDING}},
    }


def _rekeyed() -> dict[str, Json]:
    return {
        "address": "segmenter.rekeyed",
        "description": "Internal: events on their way to the lane of their customer, as they were read, and markers "
        "of time.",
        "messages": {"forwarded": {"$ref": "#/components/messages/forwarded"}},
        "bindings": {"kafka": _lane_topic("delete")},
    }


def _outputs() -> dict[str, Json]:
    return {
        name: {
            "address": f"segmenter.{name}",
            "description": description,
            "messages": {message: {"$ref": f"#/components/messages/{message}"}},
            "bindings": {"kafka": _lane_topic(policy)},
        }
        for name, message, policy, description in (
            ("changes", "change", "delete", "Every move of a customer, with its reasons."),
            ("memberships", "membership", "compact", "Where every customer is now. A tombstone: forgotten."),
            ("rejected", "rejected", "delete", "Records that could not be used, with the reason."),
        )
    }


def _lane_topic(policy: str) -> dict[str, Json]:
    return {
        "partitions": LANES,
        "topicConfiguration": {"cleanup.policy": [policy]},
        "bindingVersion": BINDING,
    }


def _operation(action: str, channel: str) -> dict[str, Json]:
    operation: dict[str, Json] = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
    if action == "receive":
        group = {"type": "string", "enum": ["segmenter"], "description": "As the setting `app_id` says."}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING}}
    return operation


def _event_messages(event_types: Sequence[str]) -> dict[str, Json]:
    return {
        _called(kind): {
            "name": kind,
            "contentType": "application/json",
            "payload": _schema(f"{kind}.json"),
            "bindings": {"kafka": _key("Any; the customer id in a topic keyed by customer.")},
        }
        for kind in event_types
    }


def _own_messages() -> dict[str, Json]:
    return {
        "forwarded": {
            "name": "forwarded",
            "contentType": "application/json",
            "payload": _schema("event.json"),
            "bindings": {"kafka": _key("The key of the record at its origin.")},
        },
        "change": {
            "name": CHANGED,
            "contentType": "application/json",
            "headers": _cloudevents_headers(CHANGED, {"upto": "Positions and watermark of its commit, as JSON."}),
            "payload": _schema("change.json"),
            "bindings": {"kafka": _key(_KEY)},
        },
        "membership": {
            "name": MEMBERSHIP,
            "contentType": "application/json",
            "headers": _cloudevents_headers(MEMBERSHIP, {}),
            "payload": _schema("membership.json"),
            "bindings": {"kafka": _key(_KEY)},
        },
        "rejected": {
            "name": "rejected",
            "contentType": "application/octet-stream",
            "headers": _schema("rejected.json"),
            "payload": {"description": "The original bytes; of more than 256 KiB the first 256 KiB."},
            "bindings": {"kafka": _key("The key of the original.")},
        },
    }


def _cloudevents_headers(kind: str, more: Mapping[str, str]) -> dict[str, Json]:
    text: dict[str, Json] = {"type": "string"}
    properties: dict[str, Json] = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {**text, "description": "The same for every repeat of the record."},
        "ce_source": {**text, "format": "uri-reference"},
        "ce_type": {"const": kind},
        "ce_time": {**text, "format": "date-time"},
        "ce_partitionkey": {**text, "description": _KEY},
        "content-type": {"const": "application/json"},
        "lane_seq": {**text, "description": "Counts the records of a partition without gaps."},
        "lane_pid": {**text, "description": "The producer that wrote the record."},
        **{name: {**text, "description": description} for name, description in more.items()},
    }
    required = [name for name in properties if name.startswith("ce_")]
    return {"type": "object", "required": required, "properties": properties}


def _schema(file: str) -> dict[str, Json]:
    return {"schemaFormat": _JSON_SCHEMA, "schema": {"$ref": f"./{file}"}}


def _key(description: str) -> dict[str, Json]:
    return {"key": {"type": "string", "description": description}, "bindingVersion": BINDING}


def _called(kind: str) -> str:
    """Return an event type as the name of a message: names hold no dots."""
    return kind.replace(".", "_")
