"""The check-up of an installation: settings, rules, Kafka, Redis, workers, and on request the fence."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

from segmenter.adapters.fence_probe import Scene, probe_fence
from segmenter.adapters.findings import Finding, Mark, away, fault, ok, warning
from segmenter.adapters.kafka_checkup import check_kafka
from segmenter.adapters.kafka_reach import answering
from segmenter.adapters.redis_checkup import check_redis
from segmenter.adapters.redis_client import connect
from segmenter.domain.revision import Revision, digest_of
from segmenter.errors import ConfigurationError, TransientError
from segmenter.settings import Settings
from segmenter.wiring.kafka import all_topic_plans
from segmenter.wiring.rules import read_text, revision_in_force, rulebook_in_revision, rulebook_of


def examine(settings: Settings, *, with_fence: bool, topic: str | None) -> list[Finding]:
    """Return all there is to say. A server that is away hides nothing of the others."""
    return asyncio.run(_examine(settings, with_fence=with_fence, topic=topic))


async def _examine(settings: Settings, *, with_fence: bool, topic: str | None) -> list[Finding]:
    findings = [ok("settings", "all can be used and fit together"), _rules(settings)]
    findings += await _unless_away("kafka", _kafka(settings))
    findings += await _unless_away("redis", _redis(settings))
    if with_fence and not any(finding.subject == "kafka" and finding.mark is Mark.AWAY for finding in findings):
        findings += await _unless_away("fence", _fence(settings, topic))
    return findings


def _rules(settings: Settings) -> Finding:
    try:
        rulebook_of(settings)
    except ConfigurationError as error:
        return fault(
            "rulebook", "; ".join(error.faults), "correct the file; `segmenter rulebook check` tells the lines"
        )
    name: Path | str = settings.rulebook or "the built-in rules"
    return ok("rulebook", f"{name} can be used")


def _applied(revision: Revision | None, settings: Settings) -> list[Finding]:
    """Say whether this release can read what was applied, and whether the file of the settings says another thing."""
    if revision is None:
        return []
    subject, number = "rulebook in force", revision.number
    try:
        rulebook_in_revision(revision, settings)
    except ConfigurationError as error:
        fix = "run the release that applied it, or go back with `segmenter rulebook rollback`"
        return [fault(subject, "; ".join(error.faults), fix)]
    if _has_other_file(settings, revision):
        found = f"revision {number} holds, and not {settings.rulebook}, which differs from it"
        fix = "apply the file with `segmenter rulebook apply`, or take it out of the settings"
        return [warning(subject, found, fix)]
    return [ok(subject, f"revision {number} can be used")]


def _has_other_file(settings: Settings, revision: Revision) -> bool:
    try:
        return settings.rulebook is not None and digest_of(read_text(settings.rulebook)) != revision.digest
    except ConfigurationError:
        return False  # it was told already


async def _unless_away(subject: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await looking
    except TransientError as error:
        return [away(subject, str(error))]
    except ConfigurationError as error:
        parted = [sentence.rpartition("; ") for sentence in error.faults]
        return [fault(subject, found or fix, fix) for found, _, fix in parted]


async def _kafka(settings: Settings) -> list[Finding]:
    return await check_kafka(settings.kafka_bootstrap, settings.app_id, all_topic_plans(settings))


async def _redis(settings: Settings) -> list[Finding]:
    client = connect(settings.redis_url.get_secret_value())
    try:
        async with aclosing(client):
            findings = await check_redis(client, settings.namespace, settings.partitions)
            return findings + _applied(await revision_in_force(client, settings), settings)
    except TransientError as error:
        fix = "start it, or name another with SEGMENTER_REDIS_URL"
        raise TransientError(f"Redis at {settings.redis_address} does not answer; {fix} ({error})") from error


async def _fence(settings: Settings, topic: str | None) -> list[Finding]:
    async with answering(settings.kafka_bootstrap):
        scenes = await probe_fence(settings.kafka_bootstrap, settings.app_id, topic)
    return [_fenced(scene) for scene in scenes]


def _fenced(scene: Scene) -> Finding:
    subject = f"fence: {scene.name}"
    if scene.is_held:
        return ok(subject, scene.sentence)
    fix = "use Apache Kafka 2.5 or newer, or a service that fences transactional producers as it does"
    return fault(subject, scene.sentence, fix)
