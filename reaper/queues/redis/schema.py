"""The keys of the queue, how it is created, and the settings of the server that put it at risk.

All keys begin with one hash tag `P`, as `{reaper}`:

- `P:id:ID` a hash, one row. Fields: `n` place in the order of acceptance, `src` number of the source, `add` `due`
  instants, `fd` when it was first due if that is not `due`, `rnd` round, `att` attempts, `snd` sends, `rec` recorded
  sends, `amb` ambiguous, `fs` `fb` finals seen now and before, `rcp` receipt, `until` lease's end, `cby` `cwhy`
  requested cancellation, `out` outcome, `st` status, `det` detail, `at` settled at, `by` `why` the operator's;
  `h0`-`h19` a ring of sends, with `e` errors and `q` request IDs. An absent field is zero or none. Values stay short,
  so that the engine keeps the row in its compact form.
- `P:past:SLOT` the history: the counts of five minutes by name; it expires.
- `P:first` `P:retry` sorted by due time: waiting, never sent or sent before; `P:lease` by lease's end; `P:out:OUTCOME`
  by settling. Their members are the place, 12 digits, and the ID: so equal times are in the order of acceptance.
- `P:counters`, `P:accepted` `P:duplicate` `P:invalid` by source, `P:sources` `P:names` of the sources.
- `P:inbox` the producers' stream, `P:set:…` run sets (place by ID), `P:wishes` cancelled in flight, `P:gone` owners
  that deregistered, `P:done:OWNER` the receipts of applies whose answer may be lost (by number of their batch),
  `P:reapers` heartbeats and `P:told` their times, `P:pause`, `P:notes` stored values, `P:lines` not accepted,
  `P:meta`: `schema`, `queue` the identity (in schema 1 `identity`), numbers given out.
"""

from __future__ import annotations

import secrets

from reaper.core.errors import NoQueueError, QueueError
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.errors import newer
from reaper.queues.redis.scripts import load

SCHEMA = 3
OLDEST = (6, 2)
_BEGIN = load("begin")
_AT_RISK = {
    "everysec": "appendfsync is everysec: up to two seconds of what was accepted or settled are lost when the machine "
    "loses power, or the server's process dies while its disk is slow; appendfsync always loses nothing",
    "no": "appendfsync is no: what the kernel had not written yet, often 30 seconds, is lost when the machine loses "
    "power; set it to always or everysec",
}


async def prepare(connection: RedisConnection, *, create: bool) -> tuple[str, bool, float]:
    """Create the queue if there is none and `create` allows it; migrate one of an older schema unless it is only read.

    Returns its identity, whether it was created now, and the server's time. Raises QueueError.
    """
    to_create, to_migrate = SCHEMA if create else "", "" if connection.read_only else SCHEMA
    found, identity, created, now = await connection.run(_BEGIN, to_create, secrets.token_hex(8), to_migrate)
    if found is None:
        raise NoQueueError(
            f"there is no queue at {connection.name} yet: `reaper queue init`, `add`, `once` and `run` create it"
        )
    if int(found) > SCHEMA:
        raise newer(connection.name)
    return identity, bool(created), float(now)


async def check(connection: RedisConnection) -> tuple[str, ...]:
    """Return the risks in the server's settings, a sentence each. Raises QueueError for a server that is too old."""
    info = await connection.execute_if_allowed("INFO", "server")
    if info is not None and too_old(version := str(info.get("redis_version", ""))):
        raise QueueError(f"{connection.name} is Redis {version}: the queue needs 6.2 or newer, or Valkey")
    settings: dict[str, str] = {}
    for name in ("appendonly", "appendfsync", "maxmemory-policy"):
        found = await connection.execute_if_allowed("CONFIG GET", name)
        if found is None:
            return (
                f"the settings of {connection.name} cannot be checked (it refuses CONFIG GET): make sure that it keeps "
                "an append-only file (or its service's equal) and that maxmemory-policy is noeviction",
            )
        settings.update(found)
    return warnings_of(settings)


def too_old(version: str) -> bool:
    """Return whether a server's version is too old. Valkey reports the Redis it is compatible with.

    A version that cannot be parsed passes.
    """
    found = version.split(".")[:2]
    return all(part.isdigit() for part in found) and tuple(map(int, found)) < OLDEST


def warnings_of(settings: dict[str, str]) -> tuple[str, ...]:
    """Return what a server's settings put at risk, a sentence each."""
    warnings = []
    if settings.get("appendonly") != "yes":
        warnings.append(
            "appendonly is not yes: a crash or restart of the server can lose every ID since its last snapshot; "
            "set appendonly yes"
        )
    elif sentence := _AT_RISK.get(settings.get("appendfsync", "")):
        warnings.append(sentence)
    policy = settings.get("maxmemory-policy", "")
    if policy.startswith("allkeys"):
        warnings.append(
            f"maxmemory-policy is {policy}: a full server drops session IDs in silence; set it to noeviction"
        )
    elif policy != "noeviction":
        warnings.append(
            f"maxmemory-policy is {policy}: a full server may drop the set of a running `once`; set it to noeviction"
        )
    return tuple(warnings)
