"""What the settings mean to the engine, the decoder and the stream."""

from datetime import timedelta
from typing import Literal

from segmenter.adapters.codec import CodecSettings, TopicForm
from segmenter.domain.instants import MICROSECOND, Span, instant_of, span_of
from segmenter.domain.rulebook import Rulebook
from segmenter.engine.terms import LEARNED, Terms
from segmenter.ports import Output
from segmenter.settings import InputTopic, Keyed, Settings
from segmenter.stream.settings import StreamSettings


def terms_of(settings: Settings, rulebook: Rulebook) -> Terms:
    """Return what a worker keeps to."""
    inputs = settings.topics.inputs
    return Terms(
        rulebook=rulebook,
        partitions=settings.partitions,
        direct=frozenset(topic.name for topic in inputs if topic.keyed is Keyed.CUSTOMER),
        others=frozenset(topic.name for topic in inputs if topic.keyed is Keyed.OTHER),
        rekeyed=settings.topics.rekeyed.name,
        lateness={t.name: _span(t.allowed_lateness) for t in inputs if t.allowed_lateness is not None},
        default_lateness=_span(settings.allowed_lateness),
        max_silence={t.name: silence for t in inputs if (silence := _max_silence_of(t)) is not None},
        live_within=_span(settings.live_within),
        behind_after=_span(settings.behind_after),
        announce_from=None if settings.announce_from is None else instant_of(settings.announce_from),
        announce_horizon=_span(settings.announce_horizon),
        events_per_commit=settings.batch_size,
        outbox_entries=settings.outbox_entries,
        outbox_bytes=settings.outbox_bytes,
    )


def codec_settings_of(settings: Settings) -> CodecSettings:
    """Return how the records of each input topic are read."""
    return CodecSettings(
        {topic.name: TopicForm(customer_from_key=topic.customer_from_key) for topic in settings.topics.inputs},
        future_tolerance=_span(settings.future_tolerance),
    )


def stream_settings_of(settings: Settings, *, is_embedded: bool = False) -> StreamSettings:
    """Return what the stream is told. The embedded broker's control records carry no checksum."""
    terms = terms_of(settings, Rulebook())
    home = sorted(terms.direct) + ([terms.rekeyed] if terms.others else [])
    return StreamSettings(
        bootstrap=settings.kafka_bootstrap,
        group=settings.app_id,
        lane_topics=tuple(home),
        other_topics=tuple(sorted(terms.others)),
        partitions=settings.partitions,
        instance_id=settings.group_instance_id,
        session_timeout_s=settings.session_timeout.total_seconds(),
        heartbeat_s=settings.heartbeat_interval.total_seconds(),
        rebalance_timeout_s=settings.rebalance_timeout.total_seconds(),
        request_timeout_s=settings.request_timeout.total_seconds(),
        check_crcs=not is_embedded,
        is_read_committed=not is_embedded,
    )


def output_topics_of(settings: Settings) -> dict[Output, str]:
    """Return the topics on which lanes speak."""
    topics = settings.topics
    return {
        Output.CHANGES: topics.changes.name,
        Output.MEMBERSHIPS: topics.memberships.name,
        Output.REJECTED: topics.rejected.name,
    }


def _max_silence_of(topic: InputTopic) -> Span | Literal["learned"] | None:
    """Return how long a topic may be silent; None: for ever."""
    if topic.max_silence in ("learned", "off"):
        return LEARNED if topic.max_silence == LEARNED else None
    return span_of(topic.max_silence)


def _span(length: timedelta) -> Span:
    return length // MICROSECOND
