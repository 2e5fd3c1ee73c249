"""Installations for tests of the whole path: shared servers, all else their own, workers ended after the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.kafka import KafkaCluster
from tests.integration.workload import Site

SiteMaker = Callable[..., Site]


@pytest.fixture
def make_site(
    kafka: KafkaCluster, redis_url: str, unique: Callable[[str], str], tmp_path: Path
) -> Iterator[SiteMaker]:
    """Give a maker of installations: `make_site(rules, keyed={"clicks": "other"})`; other servers by name."""
    made: list[Site] = []

    def make(rules: str, **options: Any) -> Site:
        servers = {"bootstrap": kafka.bootstrap, "redis_url": redis_url}
        site = Site(unique=unique, directory=tmp_path, rules=rules, **(servers | options))
        made.append(site)
        return site

    yield make
    for site in made:
        site.stop_workers()
        print(site.troubles())
