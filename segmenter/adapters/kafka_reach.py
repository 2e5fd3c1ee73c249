"""Telling users in one sentence that Kafka does not answer, where, and which setting names it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaConnectionError, KafkaError

from segmenter.errors import TransientError


@asynccontextmanager
async def answering(bootstrap: str) -> AsyncIterator[None]:
    """Raise TransientError with address, setting and cause where Kafka fails inside the context."""
    try:
        yield
    except (KafkaError, TransientError, TimeoutError) as error:
        cause = "" if isinstance(error, KafkaConnectionError) else f" ({str(error) or type(error).__name__})"
        fix = "start it, or name another with SEGMENTER_KAFKA_BOOTSTRAP"
        raise TransientError(f"Kafka at {bootstrap} does not answer{cause}; {fix}") from error
