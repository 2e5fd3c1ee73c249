"""The files of the contract: as the types say, valid themselves, with examples that all sides accept."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.codec_types import EVENT_TYPES
from segmenter.adapters.schemas import ASYNCAPI_FILE, BASE_URI, DIALECT, documents, drift, write
from segmenter.adapters.schemas_examples import EVENT_EXAMPLES
from segmenter.domain.instants import instant_of
from segmenter.ports import Decoded
from segmenter.settings import Settings
from tests.contract.codec_records import Given

FOLDER = Path(__file__).parents[2] / "schemas"
OFFICIAL = Path(__file__).parent / "asyncapi" / "asyncapi-3.1.0.json"
SCHEMAS = documents()
EVENT_FILES = sorted(f"{kind}.json" for kind in EVENT_TYPES)
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER)


def asyncapi() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load((FOLDER / ASYNCAPI_FILE).read_text())
    return document


def descriptions_missing(schema: Mapping[str, Any], path: str = "") -> list[str]:
    missing = []
    for name, field in schema.get("properties", {}).items():
        if "description" not in field and "$ref" not in field:
            missing.append(f"{path}.{name}")
    for name, definition in schema.get("$defs", {}).items():
        missing += descriptions_missing(definition, f"{path}.{name}")
    return missing


def test_the_files_are_as_the_types_say() -> None:
    assert drift(FOLDER) == []


def test_every_drift_is_told(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert drift(tmp_path) == []

    (tmp_path / "click.json").write_text("{}")
    (tmp_path / "change.json").unlink()
    (tmp_path / "visit.json").write_text("{}")

    assert len(written) == len(SCHEMAS) + 1
    assert drift(tmp_path) == [
        f"{tmp_path / 'change.json'} is missing",
        f"{tmp_path / 'click.json'} is not as the types say",
        f"{tmp_path / 'visit.json'} describes no record",
    ]
    write(tmp_path)
    assert drift(tmp_path) == []


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_valid_named_described_and_exemplified(name: str) -> None:
    schema = SCHEMAS[name]

    Draft202012Validator.check_schema(schema)

    assert (schema["$schema"], schema["$id"]) == (DIALECT, BASE_URI + name)
    assert schema["title"]
    assert schema["description"]
    assert descriptions_missing(schema) == []
    assert len(schema["examples"]) == 1
    validator(name).validate(schema["examples"][0])


@pytest.mark.parametrize("name", [*EVENT_FILES, "event.json"])
def test_an_example_of_an_event_is_read_without_remark(name: str) -> None:
    example = SCHEMAS[name]["examples"][0]

    decoded = JsonDecoder().decode(Given(json.dumps(example).encode()))

    assert isinstance(decoded, Decoded), decoded
    at = instant_of(datetime.fromisoformat(example["occurred_at"]))
    assert (decoded.at, decoded.event.type) == (at, example["type"])
    assert (decoded.had_no_id, decoded.unknown_fields) == (False, 0)


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_the_schema_of_all_events_takes_each(kind: str) -> None:
    validator("event.json").validate(EVENT_EXAMPLES[kind])


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("click", {"anonymous_id": None}),
        ("click", {"customer_id": "anon:1"}),
        ("click", {"shop": "a/b"}),
        ("click", {"type": "order.placed"}),
        ("click", {"occurred_at": "2026-11-01T10:00:00"}),
        ("click", {"occurred_at": 1_793_527_200}),
        ("order.placed", {"amount": "-1"}),
        ("order.placed", {"amount": -1}),
        ("order.placed", {"amount": "12,50"}),
        ("order.placed", {"currency": "eur"}),
        ("order.placed", {"order_id": ""}),
        ("order.placed", {"order_id": "o" * 257}),
        ("order.placed", {"items": [{"quantity": 1}]}),
        ("support.rated", {"score": 11}),
        ("customer.updated", {"attributes": {"a": [1]}}),
        ("customer.updated", {"attributes": {f"a{n}": 1 for n in range(65)}}),
        ("customer.updated", {"consent": {"mail": "yes"}}),
    ],
)
def test_what_a_schema_refuses_the_decoder_refuses_too(kind: str, changed: Mapping[str, Any]) -> None:
    event = {**EVENT_EXAMPLES[kind], **changed}

    with pytest.raises(ValidationError):
        validator(f"{kind}.json").validate(event)

    assert not isinstance(JsonDecoder().decode(Given(json.dumps(event).encode())), Decoded)


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    official = Draft7Validator(json.loads(OFFICIAL.read_text()))

    assert [error.message for error in official.iter_errors(asyncapi())] == []
    wrong = {**asyncapi(), "operations": {"x": {"action": "publish", "channel": {"$ref": "#/channels/orders"}}}}
    assert list(official.iter_errors(wrong))


def test_the_asyncapi_document_names_the_topics_of_the_settings() -> None:
    settings = Settings()

    channels = asyncapi()["channels"]

    topics = [topic.name for topic in settings.topics.inputs] + [topic.name for topic in settings.topics.outputs]
    assert sorted(channel["address"] for channel in channels.values()) == sorted(topics)
    lanes = {name: channel["bindings"]["kafka"].get("partitions") for name, channel in channels.items()}
    assert {name for name, count in lanes.items() if count == settings.partitions} == {
        "rekeyed",
        "changes",
        "memberships",
        "rejected",
    }


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()

    for reference in references(document):
        if reference.startswith("#/"):
            found: Any = document
            for part in reference[2:].split("/"):
                found = found[part]
        else:
            assert (FOLDER / reference).exists()
    named = {
        message["$ref"].rsplit("/", 1)[1]
        for one in document["channels"].values()
        for message in one["messages"].values()
    }
    assert named == set(document["components"]["messages"])


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for each in part.values() for found in references(each)]
    if isinstance(part, list):
        return [found for each in part for found in references(each)]
    return []
