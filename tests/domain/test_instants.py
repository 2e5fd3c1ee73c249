"""Instants and spans: whole microseconds, RFC 3339 outside."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from segmenter.domain.instants import DAY, HOUR, MILLISECOND, MINUTE, SECOND, instant_of, rfc3339, span_of, span_text


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90d", 90 * DAY),
        ("36h", 36 * HOUR),
        ("15m", 15 * MINUTE),
        ("30s", 30 * SECOND),
        ("250ms", 250 * MILLISECOND),
        ("2w", 14 * DAY),
        ("0d", 0),
        ("P90D", 90 * DAY),
        ("PT36H", 36 * HOUR),
        ("P1DT12H30M5S", DAY + 12 * HOUR + 30 * MINUTE + 5 * SECOND),
        ("P2W", 14 * DAY),
    ],
)
def test_a_duration_is_read_short_or_as_iso_8601(text: str, span: int) -> None:
    assert span_of(text) == span


@pytest.mark.parametrize("text", ["", "P", "PT", "90", "d", "1.5d", "-3d", "90 d", "90D", "P1Y", "P1M", "1d12h"])
def test_what_is_no_duration_is_refused_with_the_found_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration") as refusal:
        span_of(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize("text", ["180d", "36h", "15m", "45s", "250ms"])
def test_a_span_is_told_in_the_largest_unit_that_divides_it(text: str) -> None:
    assert span_text(span_of(text)) == text


def test_a_span_of_whole_days_is_told_in_days() -> None:
    assert span_text(span_of("48h")) == "2d"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 1, 10, 0, 0, 123_000, tzinfo=UTC), "2026-11-01T10:00:00.123Z"),
        (datetime(2026, 11, 1, 10, tzinfo=UTC), "2026-11-01T10:00:00.000Z"),
        (datetime(2026, 11, 1, 10, 0, 0, 123_456, tzinfo=UTC), "2026-11-01T10:00:00.123456Z"),
        (datetime(2026, 11, 1, 10, tzinfo=timezone(timedelta(hours=2))), "2026-11-01T08:00:00.000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
        (datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2199-12-31T23:59:59.999999Z"),
    ],
)
def test_an_instant_is_told_in_utc_without_losing_a_microsecond(moment: datetime, text: str) -> None:
    assert rfc3339(instant_of(moment)) == text


def test_a_naive_time_has_no_instant() -> None:
    with pytest.raises(TypeError):
        instant_of(datetime(2026, 11, 1))  # noqa: DTZ001 - that is the point
