"""What the last audit came to, kept in Redis: workers show it, as they cannot know it themselves."""

from dataclasses import asdict, dataclass

from segmenter.adapters.keys import audit_key
from segmenter.adapters.redis_client import Client, ask


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """How many were compared, what was found, and when, as Unix time in seconds."""

    finished_at_s: int
    customers: int
    differences: int
    not_auditable: int
    lanes_not_counted: int


async def keep_result(client: Client, namespace: str, result: AuditResult) -> None:
    """Put a result in place of the one before."""
    parts = [str(part) for pair in asdict(result).items() for part in pair]
    await ask(client, "HSET", audit_key(namespace), *parts)


async def last_result(client: Client, namespace: str) -> AuditResult | None:
    """Return the last result; None: there was no audit yet."""
    fields: dict[bytes, bytes] = await ask(client, "HGETALL", audit_key(namespace))
    return AuditResult(**{name.decode(): int(number) for name, number in fields.items()}) if fields else None
