"""Shows the last audit among a worker's numbers: whoever runs it is another process, and gone by then."""

import asyncio
import logging

from segmenter.adapters.audit_result import last_result
from segmenter.adapters.redis_client import Client
from segmenter.errors import TransientError
from segmenter.observability import Metrics

LOOK_EVERY_S = 15.0

log = logging.getLogger(__name__)


async def watch_audit(client: Client, namespace: str, metrics: Metrics, every_s: float = LOOK_EVERY_S) -> None:
    """Look for a new result until cancelled; what was shown last stays while Redis is away."""
    while True:
        try:
            result = await last_result(client, namespace)
        except TransientError as error:
            log.debug("audit_result_not_read", extra={"reason": str(error)})
        else:
            if result is not None:
                counted = result.customers, result.differences, result.not_auditable
                metrics.audited(result.finished_at_s, *counted)
        await asyncio.sleep(every_s)
