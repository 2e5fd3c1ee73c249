"""The Lua scripts: read from `lua/`, each with the shared parts it names, and run by their hash.

While a cluster moves a slot, some of a lane's keys are on one node and some on the other. A script that names a key
which does not exist is refused by both (TRYAGAIN), so one such key with each script is what keeps them from seeing
half a lane.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis import exceptions
from redis.asyncio import RedisCluster

from segmenter.adapters.keys import nothing_beside
from segmenter.adapters.redis_client import Client, call, retried


class Script:
    """One script. A server that does not know it yet is told its text, then it goes by hash."""

    def __init__(self, *files: str) -> None:
        folder = resources.files("segmenter.adapters").joinpath("lua")
        self._text = "\n".join(folder.joinpath(f"{file}.lua").read_text() for file in files)
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """Return the script's reply; tried again while trouble may pass, so it must bear to run twice."""
        if isinstance(client, RedisCluster):
            keys = [*keys, nothing_beside(keys[0])]
        return await retried(client, lambda: self._once(client, keys, args))

    async def _once(self, client: Client, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        try:
            return await call(client, "EVALSHA", self._sha, len(keys), *keys, *args)
        except exceptions.NoScriptError:
            return await call(client, "EVAL", self._text, len(keys), *keys, *args)


ACQUIRE = Script("token", "acquire")
RENEW = Script("token", "renew")
COMMIT = Script("sliced", "token", "outbox", "paged", "histogram", "commit")
ACKNOWLEDGE = Script("token", "outbox", "acknowledge")
GROW = Script("grow")
STATE = Script("state")
EARLIEST = Script("paged", "earliest")
BETWEEN = Script("paged", "between")
PARTS = Script("paged", "parts")
PUBLISH = Script("publish")
STANDING = Script("paged", "standing")
RELEASE = Script("token", "release")
CLOCK = Script("clock")
HEAR = Script("hear")
RESUME = Script("resume")
ACTIVATE = Script("activate")
ORDER = Script("order")
