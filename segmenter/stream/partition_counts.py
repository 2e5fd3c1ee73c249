"""Checks that partition p of all topics read at home is on one worker, which only equal counts give."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from segmenter.engine.intake import Place
from segmenter.stream.settings import StreamSettings


def count_faults(counts: Mapping[str, int], settings: StreamSettings, assigned: Collection[Place] = ()) -> list[str]:
    """Return what is wrong with the topics' partition counts, and with an assignment; 0 counts as missing."""
    faults = [f"topic {topic} does not exist; create it first" for topic in settings.topics if not counts[topic]]
    faults += [
        f"topic {topic} has {counts[topic]} partitions; every topic read at home must have {settings.partitions}"
        for topic in settings.lane_topics
        if counts[topic] not in (0, settings.partitions)
    ]
    return faults or _split_lanes(settings, assigned)


def _split_lanes(settings: StreamSettings, assigned: Collection[Place]) -> list[str]:
    topics_by_lane: dict[int, set[str]] = defaultdict(set)
    for topic, partition in assigned:
        if topic in settings.lane_topics:
            topics_by_lane[partition].add(topic)
    return [
        f"lane {lane} was given to this worker without {', '.join(missing)}: the group's members do not agree "
        f"on the topics or on the assignor"
        for lane, topics in sorted(topics_by_lane.items())
        if (missing := sorted(set(settings.lane_topics) - topics))
    ]
