"""What ties the Faust app to the rest of the worker."""

from dataclasses import dataclass, field

from segmenter.ports import Clock
from segmenter.stream.intake import Engine, StreamObserver, Unobserved
from segmenter.stream.ownership import GroupOwnership
from segmenter.stream.pulse import Pulse
from segmenter.stream.settings import StreamSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Made in the wiring. `ownership` is the engine's too; the liveness page reads `pulse`."""

    settings: StreamSettings
    engine: Engine
    clock: Clock
    ownership: GroupOwnership
    observer: StreamObserver = field(default_factory=Unobserved)
    pulse: Pulse = field(default_factory=Pulse)
    are_topics_checked: bool = False
    """Somebody has just seen that all topics are there with the right partition counts."""
