"""How single settings are written: durations, moments, addresses and names, each with what it expects."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeAlias, get_args

from annotated_types import Ge, Le
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr
from pydantic.fields import FieldInfo

from segmenter.adapters.redis_address import address_of
from segmenter.domain.instants import MICROSECOND, instant_of, rfc3339, span_of, span_text

Name: TypeAlias = tuple[str, ...]
"""The path of a setting: `("topics", "orders", "keyed")`."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a value must look like, as it completes the sentence "expected …", and a value that does."""

    form: str
    example: str


def written_duration(duration: timedelta) -> str:
    """Return the duration as it is written in a setting: `2s`, `400d`."""
    return span_text(duration // MICROSECOND)


def written_moment(moment: datetime) -> str:
    """Return the moment as RFC 3339."""
    return rfc3339(instant_of(moment))


def without_credentials(url: str) -> str:
    """Return scheme, host, port and path of a URL: no user, password or query, which may hold one too."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    return f"{scheme}{mark}{rest.partition('?')[0].rpartition('@')[2]}"


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - pydantic turns only ValueError into a fault
    try:
        return timedelta(microseconds=span_of(value.strip()))
    except OverflowError as error:
        raise ValueError("too long") from error


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("no instant with a zone")
    if not 1970 <= value.year <= 2200:
        raise ValueError("before 1970 or after 2200")
    return value


def _whole_number(value: object) -> object:
    # A TOML `true` would otherwise count as 1.
    if isinstance(value, bool):
        raise ValueError("a truth value")  # noqa: TRY004
    return value


_HOST = r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)"
_ADDRESS = re.compile(rf"({_HOST}):(\d{{1,5}})")


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`; raises ValueError. Brackets around an IPv6 host are dropped."""
    matched = _ADDRESS.fullmatch(address)
    if matched is None or not 0 <= int(matched[2]) <= 65_535:
        raise ValueError(f"{address!r} is not host:port")
    return matched[1].strip("[]"), int(matched[2])


def _address(value: str) -> str:
    split_address(value)
    return value


def _addresses(value: str) -> str:
    addresses = [address.strip() for address in value.split(",")]
    for address in addresses:
        split_address(address)
    return ",".join(addresses)


def _redis_url(value: SecretStr) -> SecretStr:
    address_of(value.get_secret_value())
    return value


def _matching(pattern: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None or value in {".", ".."}:
            raise ValueError("other characters, or too long")
        return value

    return AfterValidator(check)


def _max_silence(value: object) -> object:
    """Take `learned`, `off`, or a duration, which is kept as it is written by us."""
    if not isinstance(value, str):
        raise ValueError("neither a word nor a duration")  # noqa: TRY004  # a fault of the setting, told as all are
    if value in ("learned", "off"):
        return value
    length = _duration(value)
    if not isinstance(length, timedelta) or not timedelta(minutes=1) <= length <= timedelta(days=365):
        raise ValueError("out of bounds")
    return written_duration(length)


DurationText: TypeAlias = Annotated[timedelta, BeforeValidator(_duration), Expected("a duration", "15m")]
MaxSilence: TypeAlias = Annotated[
    str,
    BeforeValidator(_max_silence),
    Expected("`learned`, `off`, or a duration from 1m to 365d", "12h"),
]
Moment: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_moment),
    Expected("an instant with its zone, between 1970 and 2200", "2026-01-01T00:00:00Z"),
]
WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_whole_number), Expected("a whole number", "1")]
Address: TypeAlias = Annotated[str, AfterValidator(_address), Expected("host:port", "127.0.0.1:8080")]
Addresses: TypeAlias = Annotated[
    str,
    AfterValidator(_addresses),
    Expected("host:port, more than one separated by commas", "kafka-1:9092,kafka-2:9092"),
]
RedisUrl: TypeAlias = Annotated[
    SecretStr,
    AfterValidator(_redis_url),
    Expected("redis://, redis+sentinel:// or redis+cluster:// with an address", "redis://127.0.0.1:6379/0"),
]
TopicName: TypeAlias = Annotated[
    str,
    _matching(r"[A-Za-z0-9._-]{1,249}"),
    Expected("a topic name: letters, digits, `.`, `_` and `-`, at most 249", "orders"),
]
Namespace: TypeAlias = Annotated[
    str,
    _matching(r"[A-Za-z0-9_-]{1,32}"),
    Expected("letters, digits, `_` and `-`, at most 32", "seg"),
]
GroupName: TypeAlias = Annotated[
    str,
    _matching(r"[A-Za-z0-9._-]{1,100}"),
    Expected("letters, digits, `.`, `_` and `-`, at most 100", "segmenter"),
]
Flag: TypeAlias = Annotated[bool, Field(), Expected("true or false", "true")]


def expectation_of(field: FieldInfo) -> Expected:
    """Return what a setting expects, with its bounds."""
    kind = field.annotation
    for part in get_args(kind) or (kind,):
        if isinstance(part, type) and issubclass(part, StrEnum):
            return Expected("one of " + ", ".join(part), next(iter(part)).value)
    expected = next((part for part in _parts_of(field) if isinstance(part, Expected)), None)
    if expected is None:
        return Expected("a section of its own", "")
    low, high = _bounds_of(field)
    return Expected(expected.form + (f" from {low} to {high}" if low and high else ""), expected.example)


def _bounds_of(field: FieldInfo) -> tuple[str, str]:
    low = high = ""
    for part in _parts_of(field):
        match part:
            case Ge(ge=bound):
                low = _shown_bound(bound, field)
            case Le(le=bound):
                high = _shown_bound(bound, field)
            case _:
                pass
    return low, high


def _shown_bound(bound: object, field: FieldInfo) -> str:
    return shown_value(ByteSize(bound) if field.annotation is ByteSize and isinstance(bound, int) else bound)


def _parts_of(field: FieldInfo) -> list[object]:
    """Return everything said about the values of a field, inside a union with None too."""
    inside = [part for kind in get_args(field.annotation) for part in getattr(kind, "__metadata__", ())]
    return [*field.metadata, *inside]


def shown_value(value: object) -> str:
    """Return a value as it is written in a setting, without secrets."""
    if value is None:
        return "none"
    match value:
        case bool():
            shown = str(value).lower()
        case timedelta():
            shown = written_duration(value)
        case datetime():
            shown = written_moment(value)
        case ByteSize():
            shown = value.human_readable(separator="").replace(".0", "")
        case SecretStr():
            shown = without_credentials(value.get_secret_value())
        case _:
            shown = str(value)
    return shown
