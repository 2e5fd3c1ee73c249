"""In order of time the change log depends on events and rules alone, never on when a timer ran."""

from hypothesis import given
from hypothesis import strategies as st

from segmenter.domain.changes import ChangeSet
from segmenter.domain.events import Event
from segmenter.domain.profile import LIFECYCLE, VALUE
from segmenter.domain.value import Boundary
from tests.properties.counter import Counter
from tests.properties.histories import CLOSE, Arrangement, Rules, boundaries, histories, rules, timely

in_time = histories(["c1"]).flatmap(lambda history: st.tuples(st.just(history), timely(history)))


@given(in_time, rules(is_plain=False), boundaries())
def test_the_log_is_the_same_whenever_ticks_come(
    in_time: tuple[list[Event], Arrangement], rules: Rules, boundary: Boundary
) -> None:
    history, ticked = in_time
    never, sometimes = Counter(rules.rulebook, boundary), Counter(rules.rulebook, boundary)

    never.play([*history, CLOSE])
    sometimes.play([*ticked, CLOSE])

    assert sometimes.said == never.said
    assert sometimes.profiles == never.profiles


@given(in_time, rules(is_plain=False), boundaries())
def test_sequences_have_no_gaps_and_sets_join_up(
    in_time: tuple[list[Event], Arrangement], rules: Rules, boundary: Boundary
) -> None:
    _, ticked = in_time
    counter = Counter(rules.rulebook, boundary)

    counter.play([*ticked, CLOSE])

    for customer, said in counter.said.items():
        sets = [told for told in said if isinstance(told, ChangeSet)]
        assert [told.sequence for told in sets] == list(range(1, len(sets) + 1))
        assert [told.effective_at for told in sets] == sorted(told.effective_at for told in sets)
        last: dict[str, str | None] = {}
        for told in sets:
            for change in told.changes:
                assert change.before == last.get(change.dimension)
                assert change.before != change.after
                last[change.dimension] = change.after
        profile = counter.profiles[customer]
        announced = {d: s for d, s in last.items() if s is not None}
        present = {d: s for d in (LIFECYCLE, VALUE) if (s := profile.segment_in(d)) is not None}
        hidden = dict(profile.unannounced)
        assert {
            **{d: s for d, s in present.items() if d not in hidden},
            **{d: s for d, s in hidden.items() if s is not None},
        } == announced
