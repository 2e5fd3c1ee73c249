# ruff: noqa: E501 - whole sentences, as users see them
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.adapters.event_file import Line
from segmenter.errors import ConfigurationError
from segmenter.ports import Decoded
from segmenter.settings import InputTopic, Keyed, Settings, Topics
from segmenter.settings_reader import read_settings, settings_of, value_of, variable_of, written_settings
from segmenter.settings_types import expectation_of, shown_value
from segmenter.wiring.terms import codec_settings_of

FILE = "segmenter.toml"


def faults_of(environment: Mapping[str, str], config: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        read_settings(config, environment)
    return list(refused.value.faults)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_environment_and_file_the_defaults_hold() -> None:
    assert read_settings(environment={}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(in_folder: Path) -> None:
    (in_folder / FILE).write_text('partitions = 4\nnamespace = "shop"\n[topics.orders]\nkeyed = "customer"\n')

    settings = read_settings(
        Path(FILE), {"SEGMENTER_PARTITIONS": "16", "SEGMENTER_TOPICS__ORDERS__NAME": "shop.orders"}
    )

    assert (settings.partitions, settings.namespace, settings.app_id) == (16, "shop", "segmenter")
    assert settings.topics.orders == InputTopic(name="shop.orders", keyed=Keyed.CUSTOMER)
    assert settings.topics.clicks == Topics().clicks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("400d", timedelta(days=400)),
        ("9600h", timedelta(days=400)),
        ("52w", timedelta(weeks=52)),
        ("P400D", timedelta(days=400)),
        ("PT9600H", timedelta(days=400)),
        (" 400d ", timedelta(days=400)),
    ],
)
def test_durations_are_read_short_and_in_iso_8601(text: str, expected: timedelta) -> None:
    assert read_settings(environment={"SEGMENTER_DEDUPE_HORIZON": text}).dedupe_horizon == expected


def test_an_instant_may_be_text_or_a_date_of_toml(in_folder: Path) -> None:
    (in_folder / FILE).write_text("announce_from = 2026-01-01T00:00:00Z\n")
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    assert read_settings(Path(FILE), {}).announce_from == moment
    assert read_settings(None, {"SEGMENTER_ANNOUNCE_FROM": "2026-01-01T01:00:00+01:00"}).announce_from == moment


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_settings(environment={"SEGMENTER_RULEBOOK": "", "SEGMENTER_PARTITIONS": ""}) == Settings()


def test_sizes_may_have_units() -> None:
    assert read_settings(environment={"SEGMENTER_OUTBOX_BYTES": "2MiB"}).outbox_bytes == 2 * 1024 * 1024


def test_every_default_can_be_written_as_it_is_shown() -> None:
    defaults = {variable_of(name): shown_value(value_of(Settings(), name)) for name, _ in settings_of()}

    assert read_settings(environment={name: text for name, text in defaults.items() if text != "none"}) == Settings()


def test_every_example_is_one_that_would_be_taken() -> None:
    examples = {
        variable_of(name): expectation_of(field).example for name, field in settings_of() if field.default is None
    }

    assert read_settings(environment=examples) != Settings()


VALUE_FAULTS = [
    ("KAFKA_BOOTSTRAP", "kafka", "host:port, more than one separated by commas", "127.0.0.1:9092, the default"),
    ("KAFKA_BOOTSTRAP", "a:1,b", "host:port, more than one separated by commas", "127.0.0.1:9092, the default"),
    ("NAMESPACE", "{seg}", "letters, digits, `_` and `-`, at most 32", "seg, the default"),
    ("APP_ID", "my app", "letters, digits, `.`, `_` and `-`, at most 100", "segmenter, the default"),
    ("PARTITIONS", "eight", "a whole number from 1 to 1024", "8, the default"),
    ("PARTITIONS", "0", "a whole number from 1 to 1024", "8, the default"),
    ("PARTITIONS", "1025", "a whole number from 1 to 1024", "8, the default"),
    ("ALLOWED_LATENESS", "2", "a duration from 0d to 1d", "2s, the default"),
    ("ALLOWED_LATENESS", "2d", "a duration from 0d to 1d", "2s, the default"),
    ("FUTURE_TOLERANCE", "-5m", "a duration from 0d to 1d", "5m, the default"),
    ("DEDUPE_HORIZON", "1h", "a duration from 1d to 36500d", "400d, the default"),
    ("DEDUPE_HORIZON", "999999999w", "a duration from 1d to 36500d", "400d, the default"),
    (
        "ANNOUNCE_FROM",
        "2026-01-01",
        "an instant with its zone, between 1970 and 2200",
        "2026-01-01T00:00:00Z, for example",
    ),
    (
        "ANNOUNCE_FROM",
        "1767225600",
        "an instant with its zone, between 1970 and 2200",
        "2026-01-01T00:00:00Z, for example",
    ),
    (
        "ANNOUNCE_FROM",
        "1969-01-01T00:00:00Z",
        "an instant with its zone, between 1970 and 2200",
        "2026-01-01T00:00:00Z, for example",
    ),
    ("BATCH_SIZE", "8001", "a whole number from 1 to 8000", "1500, the default"),
    ("OUTBOX_BYTES", "3", "a size in bytes from 1MiB to 1GiB", "64MiB, the default"),
    ("OUTBOX_ENTRIES", "10", "a whole number from 1000 to 10000000", "200000, the default"),
    ("WEB_BIND", "8080", "host:port", "127.0.0.1:8080, the default"),
    ("WEB_BIND", "127.0.0.1:80800", "host:port", "127.0.0.1:8080, the default"),
    ("LOG_LEVEL", "loud", "one of debug, info, warning, error", "info, the default"),
    ("LOG_FORMAT", "xml", "one of auto, json, text", "auto, the default"),
    (
        "TOPICS__ORDERS__NAME",
        "my orders",
        "a topic name: letters, digits, `.`, `_` and `-`, at most 249",
        "orders, the default",
    ),
    ("TOPICS__ORDERS__KEYED", "custmer", "one of customer, other", "other, the default"),
    ("TOPICS__ORDERS__CUSTOMER_FROM_KEY", "perhaps", "true or false", "false, the default"),
    ("TOPICS__ORDERS__ALLOWED_LATENESS", "5", "a duration from 0d to 1d", "15m, for example"),
]


@pytest.mark.parametrize(("name", "found", "expected", "fix"), VALUE_FAULTS)
def test_a_wrong_value_is_told_with_what_is_expected(name: str, found: str, expected: str, fix: str) -> None:
    variable = f"SEGMENTER_{name}"

    assert faults_of({variable: found}) == [
        f"{variable}: found {found!r}, expected {expected}; write {variable}={fix}"
    ]


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("batch_size = true", "batch_size in segmenter.toml: found 'true', expected a whole number from 1 to 8000; write batch_size = 1500, the default"),
        ("allowed_lateness = 2", "allowed_lateness in segmenter.toml: found '2', expected a duration from 0d to 1d; write allowed_lateness = \"2s\", the default"),
        ("partitons = 4", "segmenter.toml: partitons: no such setting; did you mean partitions?"),
        ("zzz = 4", "segmenter.toml: zzz: no such setting; remove it, docs/settings.md lists all there are"),
        ("topics = 4", "segmenter.toml: topics: is a section, not a setting; set topics.orders.name, for example"),
        ("[topics.ordrs]\nname = 'x'", "segmenter.toml: topics.ordrs.name: no such setting; did you mean topics.orders.name?"),
        ("[topics.orders]\nkeyd = 'x'", "segmenter.toml: topics.orders.keyd: no such setting; did you mean topics.orders.keyed?"),
        ("[partitions]\nx = 1", "partitions in segmenter.toml: found a section, expected a whole number from 1 to 1024; write partitions = 8, the default"),
        ("partitions = ", "segmenter.toml: is not TOML: Invalid value (at end of document)"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_is_told_with_its_place(in_folder: Path, toml: str, fault: str) -> None:
    (in_folder / FILE).write_text(toml)

    assert faults_of({}, Path(FILE)) == [fault]


def test_a_file_that_is_not_there_is_told() -> None:
    assert faults_of({}, Path("missing.toml")) == [
        "missing.toml: cannot be read (No such file or directory); name an existing file with --config"
    ]


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("SEGMENTER_PARTITION", "SEGMENTER_PARTITION: no such setting; did you mean SEGMENTER_PARTITIONS?"),
        ("SEGMENTER_TOPICS__ORDERS__KEYD", "SEGMENTER_TOPICS__ORDERS__KEYD: no such setting; did you mean SEGMENTER_TOPICS__ORDERS__KEYED?"),
        ("SEGMENTER_TOPICS", "SEGMENTER_TOPICS: is a section, not a setting; set SEGMENTER_TOPICS__ORDERS__NAME, for example"),
        ("SEGMENTER_QQQQ", "SEGMENTER_QQQQ: no such setting; remove it, docs/settings.md lists all there are"),
    ],
)  # fmt: skip
def test_an_unknown_variable_is_refused_with_the_nearest_name(variable: str, fault: str) -> None:
    assert faults_of({variable: "x"}) == [fault]


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        (
            {"SEGMENTER_HEARTBEAT_INTERVAL": "4s"},
            "SEGMENTER_HEARTBEAT_INTERVAL: found 4s, expected at most a third of SEGMENTER_SESSION_TIMEOUT, which is 10s; lower it or raise SEGMENTER_SESSION_TIMEOUT",
        ),
        (
            {"SEGMENTER_SESSION_TIMEOUT": "30s"},
            "SEGMENTER_SESSION_TIMEOUT: found 30s, expected less than SEGMENTER_REBALANCE_TIMEOUT, which is 30s; lower it or raise SEGMENTER_REBALANCE_TIMEOUT",
        ),
        (
            {"SEGMENTER_REQUEST_TIMEOUT": "30s"},
            "SEGMENTER_REBALANCE_TIMEOUT: found 30s, expected less than SEGMENTER_REQUEST_TIMEOUT, which is 30s; lower it or raise SEGMENTER_REQUEST_TIMEOUT",
        ),
        (
            {"SEGMENTER_LIVE_WITHIN": "5m"},
            "SEGMENTER_LIVE_WITHIN: found 5m, expected less than SEGMENTER_BEHIND_AFTER, which is 5m; lower it or raise SEGMENTER_BEHIND_AFTER",
        ),
        (
            {"SEGMENTER_TOPICS__CHANGES__NAME": "orders"},
            "SEGMENTER_TOPICS__CHANGES__NAME: found orders, expected a name of its own; SEGMENTER_TOPICS__ORDERS__NAME has this one, rename one of the two",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_are_refused(environment: Mapping[str, str], fault: str) -> None:
    assert faults_of(environment) == [fault]


def test_all_faults_are_told_at_once(in_folder: Path) -> None:
    (in_folder / FILE).write_text('partitons = 4\nsession_timeout = "2s"\nlog_level = "loud"\n')

    faults = faults_of({"SEGMENTER_BATCH_SIZE": "0", "SEGMENTER_NO": "1"}, Path(FILE))

    assert [fault.split(" ")[0].rstrip(":") for fault in faults] == [
        "SEGMENTER_NO",
        "segmenter.toml",
        "SEGMENTER_BATCH_SIZE",
        "log_level",
        "SEGMENTER_HEARTBEAT_INTERVAL",
    ]


def test_a_timeout_that_cannot_be_read_brings_no_second_fault_about_how_it_fits() -> None:
    assert len(faults_of({"SEGMENTER_SESSION_TIMEOUT": "soon", "SEGMENTER_HEARTBEAT_INTERVAL": "8s"})) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hunter2@redis:6379/3", "redis://redis:6379/3"),
        ("rediss://:hunter2@redis:6380/0?ssl_cert_reqs=none&password=hunter2", "rediss://redis:6380/0"),
        ("redis://user:hun@ter2@redis/3", "redis://redis/3"),
        ("unix://user:hunter2@/run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://:hunter2@a:1,b/shop/2?sentinel_password=hunter2", "redis+sentinel://a:1,b/shop/2"),
        ("rediss+cluster://user:hun@ter2@a:1,[::1]:2", "rediss+cluster://a:1,[::1]:2"),
    ],
)
def test_no_password_is_ever_shown(url: str, shown: str) -> None:
    settings = read_settings(environment={"SEGMENTER_REDIS_URL": url})

    assert settings.redis_address == shown
    assert written_settings(settings)["redis_url"] == shown
    assert "ter2" not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@redis",
        "user:hunter2@redis",
        "redis://user:hunter2@redis:port/0",
        "redis+sentinel://user:hunter2@redis:26379",
        "redis+sentinel://user:hunter2@redis:26379/shop/first",
        "redis+cluster://user:hunter2@redis:6379/1",
        "redis+cluster://user:hunter2@redis:70000",
        "http+cluster://user:hunter2@redis:6379",
    ],
)
def test_no_password_is_shown_in_a_fault(url: str) -> None:
    [fault] = faults_of({"SEGMENTER_REDIS_URL": url})

    assert fault.startswith("SEGMENTER_REDIS_URL: found ")
    assert "hunter2" not in fault
    assert "user" not in fault


@pytest.mark.parametrize(("tolerance", "is_taken"), [("5m", False), ("10m", True)])
def test_the_future_tolerance_reaches_the_decoder(tolerance: str, is_taken: bool) -> None:
    settings = read_settings(environment={"SEGMENTER_FUTURE_TOLERANCE": tolerance})
    event = b'{"type":"click","customer_id":"c","occurred_at":"2026-01-01T00:06:00Z","kind":"view"}'
    record = Line("clicks", 0, 0, 1_767_225_600_000, None, event)

    decoded = JsonDecoder(codec_settings_of(settings)).decode(record)

    assert isinstance(decoded, Decoded) is is_taken
