"""Writes docs/settings.md from the settings: `python -m tests.cli.settings_page`."""

from pathlib import Path

from segmenter.settings import Settings
from segmenter.settings_reader import settings_of, value_of, variable_of
from segmenter.settings_types import Name, expectation_of, shown_value

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """# Settings

A setting is read from the environment, else from the TOML file that `--config` names, else its default holds. They
are read once, at start. A name that does not exist, a value that cannot be read, and values that do not fit together
are refused, all of them at once, each with what was found, what was expected and how to mend it; the exit code is 2.

- An empty variable counts as not set.
- Durations are written as `90d`, `36h`, `15m`, `2s` or `250ms`, or in ISO 8601 as `P90D` or `PT36H`.
- Instants are RFC 3339 with a zone: `2026-01-01T00:00:00Z`.
- Sizes take units: `64MiB`.
- In a file a section's settings stand below its name, in the environment `__` parts them:
  `[topics.orders]` with `keyed = "customer"` is `SEGMENTER_TOPICS__ORDERS__KEYED=customer`.

```toml
# segmenter.toml
kafka_bootstrap = "kafka-1:9092,kafka-2:9092"
redis_url = "redis://redis:6379/0"
rulebook = "rulebook.yaml"
partitions = 16

[topics.orders]
name = "shop.orders"
keyed = "customer"
```

## Where Redis is

| `SEGMENTER_REDIS_URL` | what it names |
|---|---|
| `redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///run/redis.sock` | one server |
| `redis+sentinel://user:password@host:26379,host:26379/service/0`, `rediss+sentinel://…` | what Sentinels name |
| `redis+cluster://user:password@host:6379,host:6379`, `rediss+cluster://…` | a cluster, by some of its nodes |

User and password are those of the data servers. Sentinels that want one of their own get it by the options
`?sentinel_username=…&sentinel_password=…`. What does not fit the server found there is refused at start.

- A failover loses what had not reached the replica. Nothing is lost by it here, and nothing told twice: positions go
  back with the profiles, and what was told already stands. `min-replicas-to-write 1` keeps it short: a primary that
  is cut off from its replica then takes no writes.
- In a cluster all keys of a lane are in one slot, and lanes spread over its primaries: with a primary that is gone,
  its lanes pause, and the others go on. While a slot moves to another node its lane pauses, at most for that long.

This page is generated from the settings themselves.
"""
_COLUMNS = "| variable | in a file | default | expected | meaning |\n|---|---|---|---|---|\n"


def page() -> str:
    """Return the page as it must be."""
    sections: dict[Name, list[str]] = {}
    for name, field in settings_of():
        default = shown_value(value_of(Settings(), name))
        row = (
            f"`{variable_of(name)}`",
            f"`{name[-1]}`",
            f"`{default}`",
            expectation_of(field).form,
            field.description,
        )
        sections.setdefault(name[:-1], []).append("| " + " | ".join(str(cell) for cell in row) + " |")
    parts = [_HEAD]
    for section, rows in sections.items():
        parts.append(f"## {'.'.join(section) if section else 'All processes'}\n")
        parts.append(_COLUMNS + "\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
