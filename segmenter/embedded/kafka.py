"""A Kafka broker inside our own process, for the demo and for fast tests: nothing to install or to start.

It is librdkafka's mock cluster, which comes inside the confluent-kafka wheel and is driven through ctypes.
It runs in a C thread of its own that never takes the interpreter's lock, so a process of its own would buy
nothing but a second way to fail; and so it dies with us, however we die.
"""

import ctypes
import sys
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from segmenter.errors import ConfigurationError, SegmenterError

# The broker waits so long for further members before a new group starts; its own default is 3 s.
REBALANCE_DELAY_MS = 100
KEPT_BYTES_PER_PARTITION = 5 * 1024 * 1024
KEPT_BATCHES_PER_PARTITION = 100_000

_PRODUCER = 0
_ONE_BROKER = 1
_ONE_REPLICA = 1


class EmbeddedKafka:
    """A one-broker Kafka on a free loopback port while the context is open.

    What it keeps: the newest 5 MiB or 100,000 batches of each partition, counted as produced (a record sent
    alone is a batch; compression counts). Older batches are dropped silently, and a reader that lags further
    is moved on without an error. Everything is in memory and gone at the end.
    What it lacks: transactions worth the name (control records carry a wrong checksum, aborted records are
    visible) and fences; CreateTopics (call `create_topic`; an unknown topic comes to be with four
    partitions); offsets by time. A second member of a consumer group races with the first in SyncGroup and
    may be refused: use one worker. A fetch hands out one batch of each partition, however many there are.
    Good for a demo and for tests with a bounded backlog, never for a claim about exactly once.
    """

    def __init__(self) -> None:
        self._handle: int | None = None  # None: not open
        self._cluster: int | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        library = _library()
        reason = ctypes.create_string_buffer(512)
        settings = library.rd_kafka_conf_new()
        # Its log goes to standard error and would tear the demo's screen.
        library.rd_kafka_conf_set_log_cb(settings, None)
        self._handle = library.rd_kafka_new(_PRODUCER, settings, reason, len(reason))
        if not self._handle:
            raise SegmenterError(f"the embedded Kafka did not start: {reason.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._handle, _ONE_BROKER)
        if not self._cluster:
            self.__exit__(None, None, None)
            raise SegmenterError("the embedded Kafka did not start: no free loopback port")
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, REBALANCE_DELAY_MS)
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        library = _library()
        if self._cluster:
            library.rd_kafka_mock_cluster_destroy(self._cluster)
        if self._handle:
            library.rd_kafka_destroy(self._handle)
        self._cluster = self._handle = None

    def create_topic(self, name: str, partitions: int) -> None:
        """Create the topic; raises SegmenterError when it exists already or the broker is not open."""
        if not self._cluster:
            raise SegmenterError(f"topic {name!r} cannot be created: the embedded Kafka is not open")
        code = _library().rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, _ONE_REPLICA)
        if code:
            raise SegmenterError(f"topic {name!r} with {partitions} partitions was refused: code {code}")


_POINTER = ctypes.c_void_p
_SIGNATURES = (
    ("rd_kafka_conf_new", _POINTER, ()),
    ("rd_kafka_conf_set_log_cb", None, (_POINTER, _POINTER)),
    ("rd_kafka_new", _POINTER, (ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t)),
    ("rd_kafka_destroy", None, (_POINTER,)),
    ("rd_kafka_mock_cluster_new", _POINTER, (_POINTER, ctypes.c_int)),
    ("rd_kafka_mock_cluster_destroy", None, (_POINTER,)),
    ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, (_POINTER,)),
    ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, (_POINTER, ctypes.c_int32)),
    ("rd_kafka_mock_topic_create", ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)),
)


@cache
def _library() -> ctypes.CDLL:
    """Return librdkafka with the functions declared that we call."""
    path = library_path(_package_origin())
    try:
        library = ctypes.CDLL(path)
        for name, result, arguments in _SIGNATURES:
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        fault = f"the embedded Kafka cannot use {path}: {error}; install confluent-kafka 2.16.1 or newer"
        raise ConfigurationError([fault]) from error
    return library


def library_path(package_origin: str | None) -> str:
    """Return where librdkafka is: inside the wheel (Linux, macOS), else wherever the system has it.

    `package_origin` is the file of the package confluent_kafka, None where it is not installed. Raises
    ConfigurationError that says what is missing.
    """
    if package_origin is None:
        raise ConfigurationError(
            ["the embedded Kafka needs the package confluent-kafka; install it, or name a real broker"]
        )
    folder = Path(package_origin).parent
    places = (folder.parent / "confluent_kafka.libs", folder / ".dylibs")
    bundled = sorted(path for place in places for path in place.glob("librdkafka*") if path.is_file())
    # Where a build brings librdkafka++ too, the C library sorts after it.
    found = str(bundled[-1]) if bundled else find_library("rdkafka")
    if found is None:
        looked = " and ".join(str(place) for place in places)
        raise ConfigurationError(
            [f"the embedded Kafka found no librdkafka in {looked} nor on this system ({sys.platform})"]
        )
    return found


def _package_origin() -> str | None:
    package = find_spec("confluent_kafka")
    return None if package is None else package.origin
