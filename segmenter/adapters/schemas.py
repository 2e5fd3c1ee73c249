"""The contract as files: a JSON Schema of every record and the AsyncAPI document, generated from the types."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from segmenter.adapters.codec_limits import MOST_ATTRIBUTES, MOST_CONSENTS, NAME_BYTES, TEXT_BYTES
from segmenter.adapters.codec_types import EVENT_TYPES, wire_schema
from segmenter.adapters.records_forms import ChangeValue, MembershipValue, RejectedHeaders
from segmenter.adapters.schemas_asyncapi import asyncapi
from segmenter.adapters.schemas_examples import (
    CHANGE_EXAMPLE,
    EVENT_EXAMPLES,
    MEMBERSHIP_EXAMPLE,
    REJECTED_EXAMPLE,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE_URI = "https://segmenter.io/schemas/"
ASYNCAPI_FILE = "asyncapi.yaml"

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


def write(directory: Path) -> list[Path]:
    """Write all files anew, take away JSON Schemas that are none any more, and return what was written."""
    texts = _texts()
    directory.mkdir(parents=True, exist_ok=True)
    for stale in _stale(directory, texts):
        stale.unlink()
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in texts]


def drift(directory: Path) -> list[str]:
    """Return one sentence for each file that is missing, not as the types say, or none of the contract."""
    faults: list[str] = []
    texts = _texts()
    for name, text in texts.items():
        path = directory / name
        if not path.exists():
            faults.append(f"{path} is missing")
        elif path.read_text(encoding="utf-8") != text:
            faults.append(f"{path} is not as the types say")
    return faults + [f"{stale} describes no record" for stale in _stale(directory, texts)]


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Return all JSON Schemas by file name."""
    events = _event_schemas()
    return {
        **{f"{kind}.json": schema for kind, schema in events.items()},
        "event.json": _headed(
            "event.json",
            "event",
            {
                "description": "Any event, told apart by its type.",
                "oneOf": [{"$ref": f"{kind}.json"} for kind in events],
                "examples": [EVENT_EXAMPLES["order.placed"]],
            },
        ),
        **_output_schemas(),
    }


def _texts() -> dict[str, str]:
    schemas = documents()
    texts = {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in sorted(schemas.items())
    }
    head = "# Generated from the types by `segmenter schemas write`.\n"
    document = yaml.dump(asyncapi(sorted(EVENT_TYPES)), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
    return {**texts, ASYNCAPI_FILE: head + document}


def _stale(directory: Path, texts: Mapping[str, str]) -> list[Path]:
    return [path for path in sorted(directory.glob("*.json")) if path.name not in texts]


def _event_schemas() -> dict[str, dict[str, Any]]:
    """Return a schema of each event type. The sentences below inherited fields are those of their own class."""
    bases = [base for event in EVENT_TYPES.values() for base in event.__mro__ if is_dataclass(base)]
    definitions = _definitions(wire_schema(reduce(or_, dict.fromkeys(bases)), _DOCUMENTED))
    told = {
        name: field["description"]
        for base in bases
        for name, field in definitions[base.__name__]["properties"].items()
        if base not in EVENT_TYPES.values() and "description" in field
    }
    schemas: dict[str, dict[str, Any]] = {}
    for kind, event in EVENT_TYPES.items():
        schema = definitions[event.__name__]
        for name, field in schema["properties"].items():
            if name in told:
                field.setdefault("description", told[name])
        _limit(schema, kind)
        schema["examples"] = [EVENT_EXAMPLES[kind]]
        schemas[kind] = _headed(f"{kind}.json", kind, _with_definitions(schema, definitions))
    return schemas


def _limit(schema: dict[str, Any], kind: str) -> None:
    """Put in what the type of an event does not say: its type and a customer have to be there, maps are bounded."""
    fields = schema["properties"]
    fields["type"] = {"const": kind, "description": "The type of the event."}
    schema["required"] = ["type", *schema["required"]]
    named = {"type": "string", "minLength": 1}
    schema["anyOf"] = [{"required": [name], "properties": {name: named}} for name in ("customer_id", "anonymous_id")]
    for name, most in (("attributes", MOST_ATTRIBUTES), ("consent", MOST_CONSENTS)):
        if name in fields:
            fields[name] |= {"maxProperties": most, "propertyNames": {"minLength": 1, "maxLength": NAME_BYTES}}
    if "attributes" in fields:
        fields["attributes"]["additionalProperties"] |= {"maxLength": TEXT_BYTES}


def _output_schemas() -> dict[str, dict[str, Any]]:
    adapter: TypeAdapter[Any] = TypeAdapter(ChangeValue | MembershipValue | RejectedHeaders, config=_DOCUMENTED)
    definitions = _definitions(adapter.core_schema)
    rejected = definitions["RejectedHeaders"]
    rejected["patternProperties"] = {r"^original\.": {"type": "string", "description": "A header of its own."}}
    schemas: dict[str, dict[str, Any]] = {}
    for name, title, definition, example in (
        ("change.json", "change", definitions["ChangeValue"], CHANGE_EXAMPLE),
        ("membership.json", "membership", definitions["MembershipValue"], MEMBERSHIP_EXAMPLE),
        ("rejected.json", "headers of a rejected record", rejected, REJECTED_EXAMPLE),
    ):
        definition["examples"] = [example]
        schemas[name] = _headed(name, title, _with_definitions(definition, definitions))
    return schemas


class _Generator(GenerateJsonSchema):
    """Leaves out titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a field is called by its name."""
        return False


class _Plain(yaml.SafeDumper):
    """Writes equal parts twice instead of pointing from one to the other."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def _definitions(schema: CoreSchema) -> dict[str, dict[str, Any]]:
    definitions: dict[str, dict[str, Any]] = _Generator(ref_template="#/$defs/{model}").generate(schema)["$defs"]
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = " ".join(definition["description"].split())
    return definitions


def _with_definitions(schema: dict[str, Any], definitions: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the schema with the definitions that it refers to, also through others."""
    used: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
    return {**schema, "$defs": dict(sorted(used.items()))} if used else schema


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/$defs/")
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def _headed(name: str, title: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    first = {"$schema": DIALECT, "$id": BASE_URI + name, "title": title}
    last = {"examples": schema["examples"]}
    middle = {key: part for key, part in schema.items() if key not in ("title", "examples")}
    return {**first, **middle, **last}
