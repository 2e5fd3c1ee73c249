"""The leaves of a condition that ask for what a customer did: measures, absence, sequences."""

import yaml

from segmenter.adapters.rulebook_bounds import bound_in, scale_of
from segmenter.adapters.rulebook_filters import FIELDS_OF_MEASURE, filter_in
from segmenter.adapters.rulebook_scope import Scope
from segmenter.adapters.rulebook_values import (
    SHORTEST,
    name_in,
    read_entry,
    read_span,
    span_reader,
    span_words,
    value_in,
)
from segmenter.adapters.yaml_nodes import Section, found_in, section_of
from segmenter.domain.conditions import (
    ORDER_MEASURES,
    TALLIED,
    UNIT_OF,
    Absent,
    Activity,
    Condition,
    Field,
    Filter,
    Follow,
    Measure,
    Measured,
    Sequence,
    Unit,
)
from segmenter.domain.filters import FIELDS_OF_TYPE, TRACKED_TYPES, type_of
from segmenter.domain.windows import Window

MAX_STEPS = 10
_WINDOWED_BY_ORDERS = ORDER_MEASURES | {Measure.REFUNDS, Measure.REFUNDED}
_STEP = ("event", "not", "where")


def measured(section: Section, scope: Scope) -> Condition | None:
    """Return `measure` with its comparison, `within` and `where`."""
    name = name_in(section.entries["measure"], section.path_of("measure"), list(Measure), "a measure", scope.faults)
    measure = None if name is None else Measure(name)
    window = scope.window_in(section.entries.get("within"), section.path_of("within"))
    if measure is None or window is None:
        return None
    where_path = section.path_of("where")
    fields = FIELDS_OF_MEASURE.get(measure, ())
    where = filter_in(section.entries.get("where"), where_path, measure, fields, scope.faults)
    _check_reach(section, scope, measure, window, where)
    bound = bound_in(section, scale_of(UNIT_OF.get(measure, Unit.COUNT), scope.currency), scope.faults)
    return None if bound is None else Measured(measure, bound, window, where)


def _check_reach(section: Section, scope: Scope, measure: Measure, window: Window, where: Filter) -> None:
    """Refuse what asks for more than is kept of a customer."""
    node = section.entries.get("within", section.node)
    if measure in TALLIED:
        scope.check_tallied(window.span, node, section.path_of("within"))
    elif measure in _WINDOWED_BY_ORDERS:
        scope.check_kept(window, node, section.path_of("within"))
        if scope.is_bounded and where.values and window.span is None:
            found = f"`{measure}` over all history cannot be told apart, as lines of old orders are not kept"
            fix = "add `within`, at most SEGMENTER_DEDUPE_HORIZON"
            scope.faults.add(section.entries["where"], section.path_of("where"), f"{found}; {fix}")


def absent(section: Section, scope: Scope) -> Condition | None:
    """Return `absent` with `for` and `include_never`."""
    names = [activity.value for activity in Activity]
    name = name_in(section.entries["absent"], section.path_of("absent"), names, "", scope.faults)
    never = read_entry(section, "include_never", False, truth_in, "true or false", scope.faults)
    node, path = section.entries.get("for"), section.path_of("for")
    if node is None:
        if not section.has_strange_names:
            scope.faults.add(section.node, path, "is missing, expected a duration such as `for: 60d`")
        return None
    span = value_in(node, path, span_reader(SHORTEST), span_words(SHORTEST), scope.faults)
    window = None if span is None else scope.window_of(span, node, path)
    if name is None or window is None:
        return None
    if name == Activity.DELIVERY:
        # Of an order that is not kept any more, it is not known when it was delivered.
        scope.check_kept(window, node, path)
    return Absent(Activity(name), window, never)


def truth_in(text: str) -> bool | None:
    """Read `true` or `false`."""
    return {"true": True, "false": False}.get(text)


def sequence(section: Section, scope: Scope) -> Condition | None:
    """Return `sequence` with its steps and `within`."""
    node, path = section.entries["sequence"], section.path_of("sequence")
    within = read_span(section, "within", 0, SHORTEST, scope.faults)
    if "within" in section.entries:
        scope.check_tallied(within, section.entries["within"], section.path_of("within"))
    elif not section.has_strange_names:
        missing = "is missing, expected a duration such as `within: 7d`"
        scope.faults.add(section.node, section.path_of("within"), missing)
    if not isinstance(node, yaml.SequenceNode) or not 2 <= len(node.value) <= MAX_STEPS:
        count = f"a list of {len(node.value)}" if isinstance(node, yaml.SequenceNode) else found_in(node)
        scope.faults.add(node, path, f"found {count}, expected a list of 2 to {MAX_STEPS} steps")
        return None
    steps = [_step(item, f"{path}[{number}]", scope) for number, item in enumerate(node.value)]
    read = [step for step in steps if step is not None]
    if steps[0] is not None and steps[0].is_missing:
        scope.faults.add(node.value[0], f"{path}[0]", "is a `not`, expected an event: a sequence begins with one")
        return None
    return Sequence(tuple(read), within) if len(read) == len(steps) and within else None


def _step(node: yaml.Node, path: str, scope: Scope) -> Follow | None:
    section = section_of(node, path, _STEP, scope.faults)
    if not isinstance(node, yaml.MappingNode):
        return None
    if ("event" in section.entries) == ("not" in section.entries):
        found = "both `event` and `not`" if section.entries.get("event") else "a step without an event"
        scope.faults.add(node, path, f"found {found}, expected `event: NAME` or `not: NAME`")
        return None
    if "event" in section.entries:
        return _follow(section, scope, is_missing=False)
    if "where" in section.entries:
        fix = "write `not: {event: NAME, where: …}`"
        scope.faults.add(section.entries["where"], section.path_of("where"), f"stands beside `not`; {fix}")
    inner, inner_path = section.entries["not"], section.path_of("not")
    if isinstance(inner, yaml.MappingNode):
        return _missing(inner, inner_path, scope)
    name = _type_in(inner, inner_path, scope)
    return None if name is None else Follow(name, is_missing=True)


def _missing(node: yaml.Node, path: str, scope: Scope) -> Follow | None:
    section = section_of(node, path, ("event", "where"), scope.faults)
    if "event" not in section.entries:
        scope.faults.add(node, path, "found a step without an event, expected `event: NAME`")
        return None
    return _follow(section, scope, is_missing=True)


def _follow(section: Section, scope: Scope, *, is_missing: bool) -> Follow | None:
    name = _type_in(section.entries["event"], section.path_of("event"), scope)
    if name is None:
        return None
    known = FIELDS_OF_TYPE.get(type_of(Follow(name)), frozenset())
    fields = tuple(field for field in Field if field in known)
    where = filter_in(section.entries.get("where"), section.path_of("where"), name, fields, scope.faults)
    return Follow(name, where, is_missing)


def _type_in(node: yaml.Node, path: str, scope: Scope) -> str | None:
    return name_in(node, path, sorted(TRACKED_TYPES), "an event", scope.faults)
