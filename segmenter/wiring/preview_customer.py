"""`rulebook preview --customer`: one stored customer, condition by condition, as a rulebook would see him."""

from collections.abc import Sequence

from segmenter.domain.account import Account
from segmenter.domain.foresight import Foresight
from segmenter.domain.rulebook import Rulebook
from segmenter.settings import Settings
from segmenter.wiring.customers import Unknown, find_customer
from segmenter.wiring.why import inquiry_of


def accounts_by(settings: Settings, planned: Rulebook, identity: str) -> Sequence[Account] | Unknown:
    """Return what decides each declared segment of a rulebook for a customer, drafts as if they were live.

    Raises TransientError when Redis does not answer.
    """
    found = find_customer(settings, identity)
    if isinstance(found, Unknown):
        return found
    shown = Foresight(planned, planned).planned
    inquiry = inquiry_of(found, shown)
    return [inquiry.account_of(definition.dimension) for definition in shown.plan.definitions]
