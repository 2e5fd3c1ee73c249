"""What we remember of a customer: facts, where he stands, and what was last said of him."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segmenter.domain.behaviour import NO_BEHAVIOUR, Behaviour
from segmenter.domain.events import ANONYMOUS_PREFIX, AttributeValue
from segmenter.domain.instants import BEGINNING, Instant
from segmenter.domain.ledger import Ledger, Totals
from segmenter.domain.puts import Put
from segmenter.domain.sealed import Sealed, SealedLedger

LIFECYCLE = "lifecycle"
VALUE = "value"
WAITING = "waiting"
"""Stands for a dimension where customers are counted whose moves are not told yet, by dimension."""
# Producers repeat a send within seconds; 16 ids of 4 bytes recognise that without growing the profile.
RECENT_IDS_KEPT = 16
# Names that are made of numbers or dates would let a profile grow for ever; this many take 360 KB at their longest.
ATTRIBUTES_KEPT = 256


@dataclass(slots=True)
class Standing:
    """A segment, and since when the customer is in it; replaced, never changed (not frozen, as `Order`)."""

    segment: str
    since: Instant


@dataclass(frozen=True, slots=True)
class Attribute:
    """The newest value of an attribute: when, by which event, what."""

    at: Instant
    by: str
    value: AttributeValue


@dataclass(slots=True)
class Dossier:
    """What few events touch: where he stands, what was said of it, what his orders come to, what the shop told.

    Replaced field by field, and only by the profile that made it: see `Profile`.
    """

    totals: Totals = field(default_factory=Totals)
    """Of the ledger, as of `settled_at`."""
    present: Mapping[str, Standing] = field(default_factory=dict)
    """Where he stands, by dimension."""
    unannounced: Mapping[str, str | None] = field(default_factory=dict)
    """What was last announced, only for dimensions where that is not what is present. None: nothing was."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    puts: Mapping[str, Put] = field(default_factory=dict)
    """What somebody said by hand, by the name of the segment."""
    places: Mapping[int, int] = field(default_factory=dict)
    """Under which number he is kept in each ranking beside that by value."""

    def copy(self) -> "Dossier":
        """Return one whose fields can be replaced without changing this one."""
        return Dossier(self.totals, self.present, self.unannounced, self.attributes, self.puts, self.places)


@dataclass(slots=True, eq=False, repr=False)
class Profile:
    """One customer. `step` never changes the one it is given: it works on a copy.

    The parts are values that are replaced, never changed, so a shallow copy is a full one. Ledger and dossier are
    left packed until they are looked into, and are copied when a copy first replaces something in them.
    """

    customer: str
    life: int = 1
    sequence: int = 0
    """How many change-sets were numbered in this life."""
    settled_at: Instant = BEGINNING
    """Every deadline up to here has been played; never goes back."""
    first_seen_at: Instant | None = None
    last_seen_at: Instant | None = None
    wake_at: Instant | None = None
    """The next deadline, as it stands in the lane's queue; None where nothing can change by time alone."""
    is_held: bool = False
    """The log knows later changes than we do (Redis was rewound): silent until we have passed them."""
    recent_ids: tuple[int, ...] = ()
    """32-bit hashes of the last events that carry no id of an order, newest last."""
    ledger_part: Ledger | SealedLedger = field(default_factory=Ledger)
    dossier_part: Dossier | Sealed[Dossier] = field(default_factory=Dossier)
    has_attributes: bool = False
    """Known without opening the dossier."""
    behaviour_part: Behaviour | Sealed[Behaviour] = field(default_factory=lambda: NO_BEHAVIOUR)
    owns_dossier: bool = False
    owns_behaviour: bool = False

    @property
    def ledger(self) -> Ledger:
        """Return every order and refund."""
        part = self.ledger_part
        return part.opened() if isinstance(part, SealedLedger) else part

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        self.ledger_part = ledger

    @property
    def dossier(self) -> Dossier:
        """Return what few events touch; to look at, not to change."""
        part = self.dossier_part
        return part.opened() if isinstance(part, Sealed) else part

    @property
    def totals(self) -> Totals:
        """Return what the ledger comes to, as of `settled_at`."""
        return self.dossier.totals

    @totals.setter
    def totals(self, totals: Totals) -> None:
        self._own_dossier().totals = totals

    @property
    def present(self) -> Mapping[str, Standing]:
        """Return where he stands, by dimension."""
        return self.dossier.present

    @present.setter
    def present(self, present: Mapping[str, Standing]) -> None:
        self._own_dossier().present = present

    @property
    def unannounced(self) -> Mapping[str, str | None]:
        """Return what was last announced, only for dimensions where that is not what is present."""
        return self.dossier.unannounced

    @unannounced.setter
    def unannounced(self, unannounced: Mapping[str, str | None]) -> None:
        self._own_dossier().unannounced = unannounced

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Return what the shop told of him."""
        return self.dossier.attributes if self.has_attributes else _NO_ATTRIBUTES

    @attributes.setter
    def attributes(self, attributes: Mapping[str, Attribute]) -> None:
        self._own_dossier().attributes = attributes
        self.has_attributes = bool(attributes)

    @property
    def puts(self) -> Mapping[str, Put]:
        """Return what somebody said by hand, by the name of the segment."""
        return self.dossier.puts

    @puts.setter
    def puts(self, puts: Mapping[str, Put]) -> None:
        self._own_dossier().puts = puts

    @property
    def places(self) -> Mapping[int, int]:
        """Return under which number he is kept in each ranking beside that by value."""
        return self.dossier.places

    @places.setter
    def places(self, places: Mapping[int, int]) -> None:
        self._own_dossier().places = places

    @property
    def behaviour(self) -> Behaviour:
        """Return what he did beyond ordering; to look at, not to change."""
        part = self.behaviour_part
        return part.opened() if isinstance(part, Sealed) else part

    def own_behaviour(self) -> Behaviour:
        """Return what he did, in a form that nobody else has and whose fields may be replaced."""
        part = self.behaviour_part
        if self.owns_behaviour and isinstance(part, Behaviour):
            return part
        own = self.behaviour.copy()
        self.behaviour_part, self.owns_behaviour = own, True
        return own

    def _own_dossier(self) -> Dossier:
        """Return a dossier that nobody else has."""
        part = self.dossier_part
        if self.owns_dossier and isinstance(part, Dossier):
            return part
        own = self.dossier.copy()
        self.dossier_part, self.owns_dossier = own, True
        return own

    @property
    def is_anonymous(self) -> bool:
        """Tell whether he is only known by an anonymous id: no lifecycle, no class."""
        return self.customer.startswith(ANONYMOUS_PREFIX)

    @property
    def is_excluded(self) -> bool:
        """Tell whether he is staff, kept out of everything."""
        if not self.has_attributes:
            return False
        exclude = self.attributes.get("exclude")
        return exclude is not None and exclude.value is True

    @property
    def is_known(self) -> bool:
        """Tell whether anything was ever recorded of him."""
        return self.first_seen_at is not None

    @property
    def ranked_revenue(self) -> int | None:
        """Return the revenue under which he is indexed; 0: a buyer who is not ranked, None: not a buyer."""
        totals = self.totals
        if totals.orders == 0 or self.is_excluded or self.is_anonymous:
            return None
        return max(0, totals.window_net)

    def segment_in(self, dimension: str) -> str | None:
        """Return where he stands in a dimension."""
        standing = self.present.get(dimension)
        return None if standing is None else standing.segment

    def copy(self) -> "Profile":
        """Return one that can be changed without changing this one."""
        self.owns_dossier = self.owns_behaviour = False
        return Profile(
            self.customer,
            self.life,
            self.sequence,
            self.settled_at,
            self.first_seen_at,
            self.last_seen_at,
            self.wake_at,
            self.is_held,
            self.recent_ids,
            self.ledger_part,
            self.dossier_part,
            self.has_attributes,
            self.behaviour_part,
        )

    def __eq__(self, other: object) -> bool:
        """Tell whether the same is remembered, packed or not."""
        return isinstance(other, Profile) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Profile{self._all()}"

    def _all(self) -> tuple[object, ...]:
        head = (self.customer, self.life, self.sequence, self.settled_at, self.first_seen_at, self.last_seen_at)
        return (*head, self.wake_at, self.is_held, self.recent_ids, self.ledger, self.dossier, self.behaviour)


_NO_ATTRIBUTES: Mapping[str, Attribute] = {}
