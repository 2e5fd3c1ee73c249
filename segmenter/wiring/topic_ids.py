"""Positions of a topic that was made anew are refused, even where the new one has outgrown them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

from segmenter.adapters.kafka_topic_ids import topic_identities
from segmenter.adapters.redis_client import Client
from segmenter.adapters.redis_topic_ids import RedisTopicIds
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.intake import Place
from segmenter.engine.positions import fault_of_anew
from segmenter.errors import ConfigurationError, TransientError
from segmenter.ports import Source
from segmenter.settings import Settings
from segmenter.wiring.terms import terms_of

LOOK_EVERY_S = 15.0

log = logging.getLogger(__name__)


async def refuse_topics_made_anew(client: Client, settings: Settings) -> None:
    """Raise ConfigurationError for topics that were made anew since their positions were stored."""
    partitions: defaultdict[str, list[int]] = defaultdict(list)
    for topic, partition in await made_anew(client, settings):
        partitions[topic].append(partition)
    if partitions:
        raise ConfigurationError([fault_of_anew(topic, numbers) for topic, numbers in sorted(partitions.items())])


async def made_anew(client: Client, settings: Settings) -> list[Place]:
    """Return the partitions whose stored position is of another incarnation of their topic."""
    present = await present_ids(settings)
    stored = await RedisTopicIds(client, settings.namespace).claim(present)
    return [place_of(source) for source, found in sorted(stored.items()) if found != present[source]]


async def present_ids(settings: Settings) -> Mapping[Source, str]:
    """Return the id of its topic for every partition that is read; nothing where the cluster gives no ids."""
    terms = terms_of(settings, Rulebook())
    topics = {*terms.direct, *terms.others, *([terms.rekeyed] if terms.others else [])}
    identities = await topic_identities(settings.kafka_bootstrap, topics)
    return {
        f"{topic}/{partition}": found.id
        for topic, found in identities.items()
        for partition in range(found.partitions)
    }


async def accept(client: Client, settings: Settings, *sources: Source) -> None:
    """Take the positions of these partitions, of all where none is named, for those of the topics that there are."""
    present = await present_ids(settings)
    chosen = {source: present[source] for source in sources or present if source in present}
    await RedisTopicIds(client, settings.namespace).put(chosen)


async def watch_topics(
    client: Client, settings: Settings, stop: Callable[[Place, str], None], every_s: float = LOOK_EVERY_S
) -> None:
    """Stop reading what was made anew, again and again until cancelled: `stop` is told place and reason."""
    while True:
        await asyncio.sleep(every_s)
        try:
            for place in await made_anew(client, settings):
                stop(place, fault_of_anew(place[0], [place[1]]))
        except TransientError as error:
            log.debug("topics_not_seen", extra={"reason": str(error)})


def place_of(source: Source) -> Place:
    """Return a partition from its text."""
    topic, _, partition = source.rpartition("/")
    return topic, int(partition)
