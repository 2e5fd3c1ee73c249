"""From deadline to change: how long after it can be concluded an inactive customer is told as such.

Everybody orders once, evenly over 20 seconds, and is inactive 30 seconds later, to the microsecond. It can be
concluded 2 seconds after that, when nothing from before can arrive any more (the allowed lateness): what is
measured begins there. All topics are `keyed: customer`, and nothing else happens meanwhile.
"""

import time
from collections.abc import Mapping, Sequence

from benchmarks.bench import Worker, servers
from benchmarks.figures import Figure, Result, expect, quantile
from benchmarks.live import TOPICS, Seen, Watch, send_on_time, start_after, wait_until_live
from benchmarks.machine import load_average
from benchmarks.shop import Shop, customer_id
from segmenter.domain.instants import SECOND, Instant, rfc3339

CUSTOMERS = 2_000
SPREAD_S = 20
INACTIVE_AFTER_S = 30
LATENESS_S = 2
_TIMEOUT_S = INACTIVE_AFTER_S + LATENESS_S + 30.0
_RULEBOOK = f"rulebook: 1\nlifecycle: {{inactive_after: {INACTIVE_AFTER_S}s}}\n"


def run(scale: float) -> Result:
    """Return how late the changes are."""
    count = max(1, int(CUSTOMERS * scale))
    with servers(TOPICS) as at:
        rulebook = at.directory / "rulebook.yaml"
        rulebook.write_text(_RULEBOOK)
        with Worker(at, rulebook=rulebook) as worker:
            wait_until_live(worker)
            shop, start = Shop(0), start_after(count)
            orders = [
                shop.order(customer_id(number), start + number * SPREAD_S * SECOND // count)
                for number in range(count)
            ]
            with Watch(at.kafka.bootstrap) as watch:
                send_on_time(at.kafka.bootstrap, orders)
                _wait_until_past(orders[-1].at + INACTIVE_AFTER_S * SECOND)
                load = load_average()
                seen = watch.wait_for(2 * count, _TIMEOUT_S)
            worker.cpu_s()
    deadlines = {order.customer: order.at + INACTIVE_AFTER_S * SECOND for order in orders}
    return _result(_checked(seen, deadlines), load)


def _wait_until_past(instant: Instant) -> None:
    time.sleep(max(0.0, instant / SECOND - time.time()))


def _checked(seen: Sequence[Seen], deadlines: Mapping[str, Instant]) -> list[float]:
    """Return how late each was, in ms; CheckError unless all are told once, for the deadline and not before."""
    ends = [change for change in seen if change.lifecycle == ("new", "inactive")]
    expect("customers told to be inactive", len({change.value["customer_id"] for change in ends}), len(deadlines))
    expect("changes that say so", len(ends), len(deadlines))
    milliseconds = []
    for change in ends:
        deadline = deadlines[change.value["customer_id"]]
        expect("the instant of a change", change.value["effective_at"], rfc3339(deadline))
        milliseconds.append((change.at - deadline - LATENESS_S * SECOND) / 1_000)
    expect("changes before their time", [late for late in milliseconds if late < 0], [])
    return milliseconds


def _result(milliseconds: list[float], load: float) -> Result:
    check = f"{len(milliseconds):,} customers: each told once, for its deadline to the microsecond, none too early"
    rows = ((0.50, "p50", "≤ 300 ms"), (0.99, "p99", "≤ 700 ms"), (1.0, "longest", ""))
    figures = tuple(
        Figure(
            name=f"deadline + lateness → change, {name}",
            value=f"{quantile(milliseconds, share):.0f} ms",
            target=target,
            check=check,
        )
        for share, name, target in rows
    )
    return Result(figures=figures, notes=(f"load average {load:.1f}",))
