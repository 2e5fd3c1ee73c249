"""The section `storm`: when too many leave a segment at once, of all of them or of one."""

import yaml

from segmenter.adapters.rulebook_values import read_decimal, read_span, read_whole
from segmenter.adapters.yaml_nodes import Faults, scalar_of, section_of
from segmenter.domain.holding import NEVER_HELD, StormRule
from segmenter.domain.instants import SECOND

_KEYS = ("leave_share", "within", "at_least")


def storm_in(node: yaml.Node | None, path: str, default: StormRule, faults: Faults) -> StormRule:
    """Return when too many leave; `off` holds nothing, what is not named is as in `default`."""
    if node is None:
        return default
    if scalar_of(node) == "off":
        return NEVER_HELD
    section = section_of(node, path, _KEYS, faults)
    expected = "a share above 0, at most 1, such as 0.2"
    return StormRule(
        leave_share=read_decimal(
            section, "leave_share", default.leave_share, lambda share: 0 < share <= 1, expected, faults
        ),
        within=read_span(section, "within", default.within, SECOND, faults),
        at_least=read_whole(section, "at_least", default.at_least, 1, faults),
    )
