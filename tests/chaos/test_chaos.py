"""One run of chaos a topology, with another seed every day; `make chaos` runs as many as you like."""

import datetime as dt
from pathlib import Path

import pytest

from tests.bench.kafka_jars import KafkaUnavailableError
from tests.chaos.plan import plan_of
from tests.chaos.run import play
from tests.chaos.servers import Servers, Topology
from tests.conftest import unavailable


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("topology", list(Topology))
async def test_whatever_fails_each_change_is_told_once(topology: Topology, tmp_path: Path) -> None:
    plan = plan_of(dt.datetime.now(tz=dt.UTC).toordinal(), topology)
    servers = Servers(topology)
    try:
        servers.start()
    except KafkaUnavailableError as error:
        unavailable(str(error))
    try:
        outcome = await play(servers, plan, tmp_path)
    finally:
        servers.stop()

    assert outcome.fault == "", f"seed {plan.seed}, {[fault.name for fault in plan.faults]}: {outcome.fault}"
    assert len(outcome.struck) == len(plan.faults)
    assert outcome.changes > 2_000
