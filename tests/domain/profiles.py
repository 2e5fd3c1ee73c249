"""Profiles for tests, each part given by its own name."""

from collections.abc import Mapping
from typing import Any

from segmenter.domain.behaviour import Behaviour
from segmenter.domain.ledger import Ledger, Totals
from segmenter.domain.profile import Attribute, Dossier, Profile, Standing
from segmenter.domain.puts import Put


def profile_of(
    customer: str,
    *,
    ledger: Ledger | None = None,
    totals: Totals | None = None,
    present: Mapping[str, Standing] | None = None,
    unannounced: Mapping[str, str | None] | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    behaviour: Behaviour | None = None,
    puts: Mapping[str, Put] | None = None,
    **head: Any,
) -> Profile:
    """Return a profile with these parts; what is left out is as in one of whom nothing is known."""
    dossier = Dossier(totals or Totals(), present or {}, unannounced or {}, attributes or {}, puts or {})
    return Profile(
        customer,
        **head,
        ledger_part=ledger or Ledger(),
        dossier_part=dossier,
        has_attributes=bool(attributes),
        behaviour_part=behaviour or Behaviour(),
    )
