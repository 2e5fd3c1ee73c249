"""What an audit of everybody takes: a worker reads the history of a million customers, then all of it is rebuilt.

The audit runs in a process of its own, beside the live worker, so that its memory is its own.
"""

import json
import os
import subprocess
import sys
import time

from benchmarks.bench import INPUTS, LANES, Worker, publish, servers, unpublished, wait_until
from benchmarks.figures import Figure, Result, expect
from benchmarks.shop import Shop
from segmenter.domain.instants import DAY

CUSTOMERS = 1_000_000
_EVENTS_A_CUSTOMER = 3
_READ_WITHIN_S = 7_200


def run(scale: float) -> Result:
    """Return time and memory of an audit that finds nothing."""
    customers = int(CUSTOMERS * scale)
    with servers() as at:
        now = time.time_ns() // 1_000
        sent = publish(
            at.kafka.bootstrap, Shop(customers).history(customers * _EVENTS_A_CUSTOMER, now - 300 * DAY, now)
        )
        with Worker(at) as worker, at.client() as redis:
            wait_until(sent, redis, _READ_WITHIN_S)
            worker.wait_until_live(_READ_WITHIN_S)
            while unpublished(redis):
                time.sleep(0.5)
            report = _audited(at.kafka.bootstrap, at.redis.url)
    expect("differences", (report["differences"], report["shown"]), (0, []))
    expect("records", report["records"] >= sent.total(), True)
    check = f"{report['customers']:,} customers of {sent.total():,} events compared, {report['passes']} passes"
    figures = (
        Figure(name="audit of everybody: differences", value="0", target="0", check=check),
        Figure(name="time", value=f"{report['seconds']:,.0f} s", check="both cores shared with the live worker"),
        Figure(name="memory of the audit at its peak", value=f"{report['peak_mb']:,.0f} MiB", check="of its process"),
    )
    lanes = f"{LANES - len(report['lanes_not_counted'])} of {LANES} lanes"
    return Result(figures=figures, notes=(f"not auditable: {report['not_auditable']}; counts compared in {lanes}",))


def _audited(bootstrap: str, redis_url: str) -> dict:  # type: ignore[type-arg]
    keyed = {f"SEGMENTER_TOPICS__{name.upper()}__KEYED": "customer" for name in INPUTS}
    servers_named = {"SEGMENTER_KAFKA_BOOTSTRAP": bootstrap, "SEGMENTER_REDIS_URL": redis_url}
    environment = {**os.environ, **servers_named, **keyed, "SEGMENTER_PARTITIONS": str(LANES)}
    code = (
        "import resource, sys; from segmenter.cli import main\n"
        "try: main(['audit', '--all', '--json'])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if not ran.stdout:
        raise RuntimeError(f"the audit ended with {ran.returncode}: {ran.stderr}")
    return {**json.loads(ran.stdout), "peak_mb": int(ran.stderr.split()[-1]) / 1024}
