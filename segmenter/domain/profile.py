"""What we remember of a customer: facts, where he stands, and what was last said of him."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segmenter.domain.events import ANONYMOUS_PREFIX, AttributeValue
from segmenter.domain.instants import BEGINNING, Instant
from segmenter.domain.ledger import Ledger, Totals

LIFECYCLE = "lifecycle"
VALUE = "value"
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


@dataclass(slots=True, kw_only=True)
class Profile:
    """One customer. `step` never changes the one it is given: it works on a copy.

    The parts are frozen values that are replaced, never changed, so a shallow copy is a full one.
    """

    customer: str
    life: int = 1
    sequence: int = 0
    """How many change-sets were numbered in this life."""
    settled_at: Instant = BEGINNING
    """Every deadline up to here has been played; never goes back."""
    first_seen_at: Instant | None = None
    last_seen_at: Instant | None = None
    ledger: Ledger = field(default_factory=Ledger)
    totals: Totals = field(default_factory=Totals)
    """Of the ledger, as of `settled_at`."""
    present: Mapping[str, Standing] = field(default_factory=dict)
    """Where he stands, by dimension."""
    unannounced: Mapping[str, str | None] = field(default_factory=dict)
    """What was last announced, only for dimensions where that is not what is present. None: nothing was."""
    recent_ids: tuple[int, ...] = ()
    """32-bit hashes of the last events that carry no id of an order, newest last."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    wake_at: Instant | None = None
    """The next deadline, as it stands in the lane's queue; None where nothing can change by time alone."""
    is_held: bool = False
    """The log knows later changes than we do (Redis was rewound): silent until we have passed them."""

    @property
    def is_anonymous(self) -> bool:
        """Tell whether he is only known by an anonymous id: no lifecycle, no class."""
        return self.customer.startswith(ANONYMOUS_PREFIX)

    @property
    def is_excluded(self) -> bool:
        """Tell whether he is staff, kept out of everything."""
        if not self.attributes:
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
        if self.totals.orders == 0 or self.is_excluded or self.is_anonymous:
            return None
        return max(0, self.totals.window_net)

    def segment_in(self, dimension: str) -> str | None:
        """Return where he stands in a dimension."""
        standing = self.present.get(dimension)
        return None if standing is None else standing.segment

    def copy(self) -> "Profile":
        """Return one that can be changed without changing this one."""
        # Around __init__, whose keywords take six times as long: this is done for every event.
        other = object.__new__(Profile)
        other.customer = self.customer
        other.life = self.life
        other.sequence = self.sequence
        other.settled_at = self.settled_at
        other.first_seen_at = self.first_seen_at
        other.last_seen_at = self.last_seen_at
        other.ledger = self.ledger
        other.totals = self.totals
        other.present = self.present
        other.unannounced = self.unannounced
        other.recent_ids = self.recent_ids
        other.attributes = self.attributes
        other.wake_at = self.wake_at
        other.is_held = self.is_held
        return other
