"""A `Metrics` in which everything has happened, so that every metric shows all its labels."""

from segmenter.domain.causes import Verdict
from segmenter.domain.changes import CauseKind
from segmenter.observability import Metrics


def busy_metrics() -> Metrics:
    """Return the numbers of a worker that owns lane 3 and reads partition 3 of the orders."""
    metrics = Metrics()
    metrics.events("order.placed", Verdict.ACCEPTED)
    metrics.changed("lifecycle", None, "new", CauseKind.EVENT)
    metrics.lag("orders", 3, records=5, age_s=1.5)
    metrics.watermark(3, 2.0)
    metrics.outbox(3, entries=1, size_bytes=100, age_s=0.5)
    metrics.boundary_adopted(3, 7)
    metrics.flapped("custom.vip")
    metrics.rulebook_adopted(3, 2)
    metrics.backfilled(3, customers=10, share=0.5)
    metrics.stormed("custom.vip")
    metrics.held({"custom.vip"})
    metrics.aside(3, 1)
    metrics.clock_offset(0.1)
    metrics.silence("orders", seconds_since=5, allowed_s=21_600, is_held=False)
    metrics.standstill("orders", 3, 0.5)
    metrics.sizes(3, {("lifecycle", "new"): 1, ("waiting", "custom.vip"): 1})
    return metrics
