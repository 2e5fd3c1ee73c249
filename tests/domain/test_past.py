"""The past as the log of changes tells it, and what it no longer tells."""

from segmenter.domain.changes import CauseKind, CauseNote, Change, Reason
from segmenter.domain.past import ToldChange, past_at
from tests.domain.shopper import at


def told(day: float, sequence: int, *moves: tuple[str, str | None, str | None]) -> ToldChange:
    return ToldChange(
        life=1,
        sequence=sequence,
        changes=tuple(Change(dimension=d, before=before, after=after) for d, before, after in moves),
        cause=CauseNote(kind=CauseKind.EVENT, type="order.placed", event_ids=(f"e{sequence}",)),
        effective_at=at(day),
        recorded_at=at(day),
        reasons=(Reason(dimension="lifecycle", condition="orders", actual=str(sequence), threshold="1"),),
        traits={},
        next_change_at=None,
        revision=1,
    )


NEW = told(0, 1, ("lifecycle", None, "new"))
REPEAT = told(10, 2, ("lifecycle", "new", "repeat"), ("value", "C", "A"))
INACTIVE = told(200, 3, ("lifecycle", "repeat", "inactive"))


def test_the_last_change_up_to_then_says_where_and_why() -> None:
    past = past_at(at(10), [NEW, REPEAT, INACTIVE], None)

    assert [(s.dimension, s.segment) for s in past.standings] == [("lifecycle", "repeat"), ("value", "A")]
    assert past.standings[0].by is REPEAT
    assert past.standings[0].reasons == REPEAT.reasons
    assert past.standings[1].reasons == ()
    assert (past.last, past.following, past.gap) == (REPEAT, INACTIVE, None)


def test_a_later_change_tells_what_was_before_it() -> None:
    past = past_at(at(5), [NEW, REPEAT], None)

    assert [(s.dimension, s.segment, s.by) for s in past.standings] == [
        ("lifecycle", "new", NEW),
        ("value", "C", None),
    ]


def test_before_the_first_change_a_customer_was_nowhere() -> None:
    past = past_at(at(-1), [NEW, REPEAT], None)

    assert past.gap == "nothing was told of this customer before 2026-06-01T00:00:00.000Z"
    assert [(s.dimension, s.segment) for s in past.standings] == [("value", "C")]


def test_a_log_that_begins_later_says_so_and_tells_what_it_can() -> None:
    past = past_at(at(5), [REPEAT, INACTIVE], at(8))

    assert [(s.dimension, s.segment) for s in past.standings] == [("lifecycle", "new"), ("value", "C")]
    assert past.gap is not None
    assert past.gap.startswith("the log no longer reaches back to 2026-06-06T00:00:00.000Z: its first change")
    assert "the log begins at 2026-06-09T00:00:00.000Z" in past.gap


def test_what_has_not_moved_since_the_log_begins_is_told_to_be_missing() -> None:
    past = past_at(at(300), [INACTIVE], at(100))

    assert past.gap is not None
    assert past.gap.endswith("segments that have not moved since are missing here")


def test_a_log_that_holds_nothing_of_him_says_whether_it_ever_could() -> None:
    assert past_at(at(1), [], None).gap == "nothing was ever told of this customer"
    gap = past_at(at(1), [], at(8)).gap
    assert gap == (
        "the log holds nothing of this customer; the log begins at 2026-06-09T00:00:00.000Z: "
        "what was told before is gone"
    )
