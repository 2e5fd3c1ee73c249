"""`python -m tests.fuzz N [FIRST_SEED]`: hostile records through the path, the decoder under coverage, the scripts.

The decoder is guided by coverage where atheris is installed (`pip install --group fuzz`); it stands for itself.
"""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec

from segmenter.adapters.redis_client import connect
from tests.bench.redis import RedisServer
from tests.fuzz.hostile import summary
from tests.fuzz.path import pass_through
from tests.fuzz.scripts import torment

RECORDS_A_SEED = 50_000
CALLS_A_SEED = 1_000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time() // 86_400)
    _path(count, first)
    asyncio.run(_scripts(max(CALLS_A_SEED, count // 100), first))
    if find_spec("atheris") is None:
        print("decoder: atheris is not installed, so nothing was guided by coverage; pip install --group fuzz")
        return
    subprocess.run([sys.executable, "-m", "tests.fuzz.guided", f"-runs={count}", f"-seed={first}"], check=True)


def _path(count: int, first: int) -> None:
    started_s, worked_off, rejected, records = time.monotonic(), Counter[str](), Counter[str](), 0
    for seed in range(first, first + -(-count // RECORDS_A_SEED)):
        passed = asyncio.run(pass_through(seed, min(RECORDS_A_SEED, count - records)))
        if passed.unexplained or passed.worked_off.total() != passed.records:
            raise AssertionError(f"seed {seed}: {passed}")
        records += passed.records
        worked_off += passed.worked_off
        rejected += passed.rejected
        print(f"path: {records:,} records, seed {seed}", flush=True)
    print(f"path: {records:,} records in {time.monotonic() - started_s:.0f} s: {summary(worked_off)}")
    print(f"path: put aside {rejected.total():,}: {summary(rejected)}")


async def _scripts(count: int, first: int) -> None:
    with RedisServer() as server:
        client, outcomes, done = connect(server.url), Counter[str](), 0
        try:
            while done < count:
                outcomes += await torment(client, first + done, min(CALLS_A_SEED, count - done))
                done += CALLS_A_SEED
        finally:
            await client.aclose()
    print(f"scripts: {outcomes.total():,} calls, none wrote half: {summary(outcomes)}")


if __name__ == "__main__":
    main()
