"""The obvious httpx program: one shared client, as many tasks as the bound. No ledger, no retry, no log.

python bench/clients/httpx_shared.py URL CA|- TOKEN CONCURRENCY IDS
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx


async def main(url: str, authority: str, token: str, concurrency: int, ids: Iterator[str]) -> None:
    verify = True if authority == "-" else ssl.create_default_context(cafile=authority)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, verify=verify, timeout=60, trust_env=False
    ) as client:

        async def work() -> None:
            for one in ids:
                (await client.delete(f"/api/sessions/{one}")).raise_for_status()

        await asyncio.gather(*(work() for _ in range(concurrency)))


if __name__ == "__main__":
    asked = sys.argv[1:]
    asyncio.run(main(asked[0], asked[1], asked[2], int(asked[3]), iter(Path(asked[4]).read_text().split())))
