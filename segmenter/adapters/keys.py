"""Every key in Redis, by what it holds.

All keys of a lane carry the tag `{<namespace>:<lane>}`, so that a cluster keeps them on one node and one script
may write them together. What all lanes share stands with lane 0. Bounds: no key holds more than 10,000 members
or 1 MiB; whatever grows with the number of customers is cut into buckets, slices and pages.

| key | type | holds |
|---|---|---|
| `{t}:lane` | hash | owner, version, positions of the outbox, notes: all that is small |
| `{t}:positions`, `:taken`, `:markers` | hash | offset or time by source |
| `{t}:sizes` | hash | customers by dimension and segment |
| `{t}:profiles:<bucket>` | hash | packed profile by customer; buckets grow with the lane |
| `{t}:due`, `:ranks`, `:held` | family of sorted sets | deadlines by day, revenues by eighth of a doubling, held |
| `{t}:coarse`, `{t}:fine:<factor of two>` | hash | count and sum of ranked revenues by factor of two, by log bucket |
| `{t}:outbox:<page>` | string | packed records that wait for the relay |
| `{0}:boundary`, `{0}:tasks` | hash | the boundary in force; position of each repartition task |
| `{0}:audit` | hash | what the last audit came to |
| `{0}:origin` | hash | the Kafka cluster and the application that all positions are of |
| `{0}:rulebook`, `{0}:rulebook:<number>` | hash, string | the number in force; each revision of the rulebook |
| `{0}:holds` | hash | by dimension: the newest order to hold its moves or let them go; `#` is the newest number |
| `{0}:topics` | hash | by source: the id of the topic that its position is of |
| `{0}:sources` | hash | by input topic: its newest event, longest silence, the order not to wait for it |
| `{0}:sources:<topic>` | sorted set | hours of the last four weeks in which it spoke |

A family is an index of its slices, `<family>`, the highest page of each slice, `<family>:pages`, and the pages
themselves, `<family>:<slice>:<page>`. `{t}:nothing` never exists (see `lua/token.lua` and `redis_scripts`).
"""

from zlib import crc32

from segmenter.domain.ranking import APART, BY_VALUE, scale_of
from segmenter.domain.walking import END_OF_WALK, reversed_bits

LEAST_BUCKETS = 64
HELD_SLICES = 64
# One log bucket a slice would make a commit's moves twice as many commands; a slice of many pages is slow to leave.
_BUCKETS_A_SLICE = 6


class LaneKeys:
    """The keys of one lane."""

    __slots__ = (
        "coarse",
        "due",
        "fine",
        "held",
        "lane",
        "markers",
        "outbox",
        "positions",
        "profiles",
        "ranks",
        "sizes",
        "taken",
    )

    def __init__(self, namespace: str, lane: int) -> None:
        tag = f"{{{namespace}:{lane}}}"
        self.lane = f"{tag}:lane"
        self.positions = f"{tag}:positions"
        self.taken = f"{tag}:taken"
        self.markers = f"{tag}:markers"
        self.sizes = f"{tag}:sizes"
        self.profiles = f"{tag}:profiles:"
        self.due = f"{tag}:due"
        self.ranks = f"{tag}:ranks"
        self.held = f"{tag}:held"
        self.coarse = f"{tag}:coarse"
        self.fine = f"{tag}:fine:"
        self.outbox = f"{tag}:outbox:"


def boundary_key(namespace: str) -> str:
    """Return the key of the boundary in force."""
    return f"{{{namespace}:0}}:boundary"


def tasks_key(namespace: str) -> str:
    """Return the key of the positions of all repartition tasks."""
    return f"{{{namespace}:0}}:tasks"


def audit_key(namespace: str) -> str:
    """Return the key of what the last audit came to."""
    return f"{{{namespace}:0}}:audit"


def rulebook_key(namespace: str) -> str:
    """Return the key of which revision is in force; those of revisions begin with it."""
    return f"{{{namespace}:0}}:rulebook"


def holds_key(namespace: str) -> str:
    """Return the key of the orders to hold moves."""
    return f"{{{namespace}:0}}:holds"


def sources_key(namespace: str) -> str:
    """Return the key of what is known of the input topics."""
    return f"{{{namespace}:0}}:sources"


def origin_key(namespace: str) -> str:
    """Return the key of where the positions come from."""
    return f"{{{namespace}:0}}:origin"


def topic_ids_key(namespace: str) -> str:
    """Return the key of which incarnation of its topic each position is of."""
    return f"{{{namespace}:0}}:topics"


def nothing_beside(key: str) -> str:
    """Return the key that never exists, in the slot of this one."""
    return f"{key[: key.index('}') + 1]}:nothing"


def halved_bucket(buckets: int) -> int:
    """Return the bucket that gives half its customers to a new one, when there are this many before."""
    return buckets - _round(buckets)


def bucket_of_customer(customer: bytes, buckets: int) -> int:
    """Return the bucket that holds a customer's profile (linear hashing).

    With one bucket more only the customers of one bucket move, to the new one.
    """
    round_size = _round(buckets)
    bucket = crc32(customer) % (2 * round_size)
    return bucket if bucket < buckets else bucket - round_size


def bucket_at(place: int, buckets: int) -> tuple[int, int]:
    """Return the bucket that holds the customers at a place of a walk, and where its stretch ends."""
    round_size = _round(buckets)
    crc = reversed_bits(place)
    bucket, size = crc % (2 * round_size), 2 * round_size
    if bucket >= buckets:
        bucket -= round_size
    if round_size > bucket >= buckets - round_size:
        size = round_size
    width = END_OF_WALK // size
    return bucket, place // width * width + width


def held_slice(customer: bytes) -> int:
    """Return the slice that holds a held customer."""
    return crc32(customer) % HELD_SLICES


def rank_slice(place: int, ranking: int = BY_VALUE) -> int:
    """Return the slice that holds a place of a ranking: an eighth of a doubling for a revenue, or -1 without any.

    All rankings of a lane lie in one family, each in slices of its own; so do their buckets in the histograms.
    """
    return ranking * APART + scale_of(ranking).bucket_of(place) // _BUCKETS_A_SLICE


def _round(buckets: int) -> int:
    """Return how many buckets there were when the present round of halving began."""
    return LEAST_BUCKETS << ((buckets // LEAST_BUCKETS).bit_length() - 1)
