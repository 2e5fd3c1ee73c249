"""How far a source has come, and what that makes of a lane's watermark."""

import pytest

from segmenter.adapters.codec import JsonDecoder
from segmenter.domain.instants import HOUR, MINUTE, SECOND, Instant
from segmenter.engine.intake import Evidence
from segmenter.engine.reading import Reader
from segmenter.engine.watermark import Watermark
from segmenter.observability import Metrics
from tests.engine.memory_worker import Broker, HeldClock, click, day, terms_of

LATE = 2 * SECOND
TERMS = terms_of()
ASKED_AT = day(10)
NOW = day(30)


def watermark(*sources: str, tasks: tuple[str, ...] = (), stored: Instant = 0) -> Watermark:
    return Watermark(stored, sources, tasks, TERMS)


def at_end(asked_at: Instant = ASKED_AT) -> Evidence:
    return Evidence(position=7, end=7, asked_at=asked_at)


UNFINISHED = Evidence(position=7, end=100, asked_at=None)


def test_a_source_at_its_end_has_come_as_far_as_the_moment_its_fetch_was_asked_for() -> None:
    time = watermark("orders/0")

    time.observe("orders/0", at_end(), newest=day(3), now=NOW)

    assert time.advance({}) == ASKED_AT - LATE


@pytest.mark.parametrize("asked_at", [None, ASKED_AT])
def test_a_source_not_at_its_end_has_come_as_far_as_its_newest_record(asked_at: Instant | None) -> None:
    time = watermark("orders/0")

    time.observe("orders/0", Evidence(position=7, end=100, asked_at=asked_at), newest=day(3), now=NOW)

    assert time.advance({}) == day(3) - LATE


@pytest.mark.parametrize(
    ("occurred_at", "recorded_at"),
    [pytest.param(day(3), day(5), id="imported-later"), pytest.param(day(3) + MINUTE, day(3), id="clock-ahead")],
)
def test_of_a_record_the_earlier_of_its_own_time_and_kafkas_counts(
    occurred_at: Instant, recorded_at: Instant
) -> None:
    record = Broker(HeldClock()).write(("clicks", 0), click("c-1", occurred_at), recorded_at)
    reader = Reader(0, "segmenter.rekeyed", JsonDecoder(), lambda _: 0, Metrics())

    reading = reader.read([record], {})

    assert reading.newest == {"clicks/0": day(3)}


def test_of_a_record_that_cannot_be_read_the_time_of_kafka_counts() -> None:
    record = Broker(HeldClock()).write(("clicks", 0), b"not JSON", day(3))
    reader = Reader(0, "segmenter.rekeyed", JsonDecoder(), lambda _: 0, Metrics())

    assert reader.read([record], {}).newest == {"clicks/0": day(3)}


def test_a_record_that_a_wrong_clock_has_stamped_shows_no_more_than_now() -> None:
    time = watermark("orders/0")

    time.observe("orders/0", UNFINISHED, newest=NOW + HOUR, now=NOW)

    assert time.advance({}) == NOW - LATE


def test_an_open_transaction_hides_what_follows_so_its_end_is_no_evidence() -> None:
    time = watermark("orders/0")

    time.observe("orders/0", Evidence(position=7, end=7, asked_at=None), newest=day(3), now=NOW)

    assert time.advance({}) == day(3) - LATE


def test_the_watermark_is_the_least_over_all_sources() -> None:
    time = watermark("orders/0", "clicks/0")
    time.observe("orders/0", at_end(), newest=None, now=NOW)

    time.observe("clicks/0", UNFINISHED, newest=day(4), now=NOW)

    assert time.advance({}) == day(4) - LATE


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(None, id="never-polled"),
        pytest.param(Evidence(position=0, end=None, asked_at=None), id="no-answer-yet"),
        pytest.param(Evidence(position=0, end=50, asked_at=None), id="nothing-read-yet"),
    ],
)
def test_a_source_without_evidence_holds(shown: Evidence | None) -> None:
    time = watermark("orders/0", "clicks/0", stored=day(1))
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    time.observe("orders/0", shown, newest=None, now=NOW)

    assert time.advance({}) == day(1)


def test_an_empty_source_at_its_end_does_not_hold() -> None:
    time = watermark("orders/0", "clicks/0")
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    time.observe("orders/0", Evidence(position=0, end=0, asked_at=ASKED_AT), newest=None, now=NOW)

    assert time.advance({}) == ASKED_AT - LATE


def test_an_idle_source_holds_until_it_is_answered_anew() -> None:
    time = watermark("orders/0", "clicks/0")
    time.observe("orders/0", at_end(), newest=None, now=NOW)
    time.observe("clicks/0", at_end(ASKED_AT + HOUR), newest=None, now=NOW)
    time.observe("orders/0", at_end(), newest=None, now=NOW)

    assert time.advance({}) == ASKED_AT - LATE


def test_the_watermark_never_goes_back() -> None:
    time = watermark("orders/0", stored=day(20))
    time.observe("orders/0", at_end(), newest=None, now=NOW)

    assert time.advance({}) == day(20)


def test_a_source_that_was_at_its_end_does_not_go_back_to_an_older_record() -> None:
    time = watermark("orders/0")
    time.observe("orders/0", at_end(), newest=None, now=NOW)

    time.observe("orders/0", UNFINISHED, newest=day(3), now=NOW)

    assert time.advance({}) == ASKED_AT - LATE


def test_what_was_stored_holds_until_all_sources_have_shown_something_to_a_new_owner() -> None:
    time = watermark("orders/0", "clicks/0", stored=day(5))
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    assert time.advance({}) == day(5)


def test_lateness_is_that_of_the_topic() -> None:
    terms = terms_of(lateness={"orders": HOUR})
    time = Watermark(0, ["orders/0"], (), terms)

    time.observe("orders/0", at_end(), newest=None, now=NOW)

    assert time.advance({}) == ASKED_AT - HOUR


def test_what_comes_over_the_repartition_topic_has_come_as_far_as_the_least_marker_of_all_tasks() -> None:
    time = watermark("clicks/0", tasks=("orders/0", "orders/1"))
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    assert time.advance({"orders/0": day(9), "orders/1": day(4)}) == day(4)


def test_a_task_that_never_reported_holds() -> None:
    time = watermark("clicks/0", tasks=("orders/0", "orders/1"), stored=day(1))
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    assert time.advance({"orders/0": day(9)}) == day(1)


def test_a_marker_of_what_is_no_task_any_more_counts_for_nothing() -> None:
    time = watermark("clicks/0", tasks=("orders/0",))
    time.observe("clicks/0", at_end(), newest=None, now=NOW)

    assert time.advance({"orders/0": day(9), "support/0": day(1)}) == day(9)
