"""The quick asyncio program: aiohttp on uvloop, as many tasks as the bound. No ledger, no retry, no log.

python bench/clients/aiohttp_uvloop.py URL CA|- TOKEN CONCURRENCY IDS
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import uvloop


async def main(url: str, authority: str, token: str, concurrency: int, ids: Iterator[str]) -> None:
    verify = True if authority == "-" else ssl.create_default_context(cafile=authority)
    connector = aiohttp.TCPConnector(limit=concurrency, ssl=verify)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as client:

        async def work() -> None:
            for one in ids:
                async with client.delete(f"/api/sessions/{one}") as answer:
                    answer.raise_for_status()

        await asyncio.gather(*(work() for _ in range(concurrency)))


if __name__ == "__main__":
    asked = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(asked[0], asked[1], asked[2], int(asked[3]), iter(Path(asked[4]).read_text().split())))
