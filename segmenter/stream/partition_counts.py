"""Checks that partition p of all topics read at home is on one worker, which only equal counts give."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from segmenter.engine.intake import Place
from segmenter.stream.settings import StreamSettings


def count_faults(counts: Mapping[str, int], settings: StreamSettings, assigned: Collection[Place] = ()) -> list[str]:
    """Return what is wrong with the topics' partition counts, and with an assignment.

    A topic with 0 partitions does not exist; one without a count is not judged.
    """
    faults = [f"topic {topic} does not exist; create it first" for topic, count in counts.items() if count == 0]
    faults += [
        f"topic {topic} has {count} partitions; every topic read at home must have {settings.partitions}"
        for topic, count in counts.items()
        if topic in settings.lane_topics and count not in (0, settings.partitions)
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
