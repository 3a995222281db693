"""The token, and the passwords of proxy and queue, in what a program shows of itself when something goes wrong."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import traceback
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.api.http.exchange import Exchange
from reaper.api.http.http11 import H1Connection
from reaper.api.http.proxy import Proxy
from reaper.api.http.receiver import new_buffer
from reaper.api.http.transport import Transport
from reaper.core.discovery.ghosts import Ghosts
from reaper.core.discovery.holds import Guard, Hold
from reaper.core.discovery.policy import Rule
from reaper.core.model import Outcome, Pause, PauseReason, Send, SessionId, Stats, WorkerHeartbeat
from reaper.core.status import status_json
from reaper.core.version import __version__
from reaper.settings.schema import Settings
from reaper.telemetry import logs
from reaper.telemetry.metrics import Metrics
from tests.support.http.h1 import Watcher, Wire

TOKEN = "archal_ws_hidden"
PROXY = "http://user:hidden@proxy.invalid:3128"
HEADERS = ((b"host", b"h"), (b"authorization", b"Bearer " + TOKEN.encode()))


def exchange() -> Exchange:
    return Exchange(b"DELETE", b"/api/sessions/x", HEADERS, max_body_bytes=0, timeout_s=0.0)


def connection() -> H1Connection:
    made = H1Connection(Watcher(), new_buffer())
    made.connection_made(Wire())
    made.start(exchange())
    return made


SHOWN: dict[str, Callable[[], object]] = {
    "token": lambda: Credentials(None, TOKEN).current,
    "credentials": lambda: Credentials(None, TOKEN),
    "settings": lambda: Settings.model_validate({"api": {"token": TOKEN, "proxy": PROXY}}),
    "settings of the queue": lambda: Settings.model_validate({"queue": {"url": "postgresql://u:hidden@h/d"}}),
    "target": lambda: Target("http://h", 1.0, 1.0, proxy=PROXY),
    "client": lambda: Client(Target("http://h", 1.0, 1.0), Credentials(None, TOKEN)),
    "transport": lambda: Transport("http://h"),
    "proxy": lambda: Proxy.parse(PROXY),
    "exchange": exchange,
    "connection": connection,
}


@pytest.mark.parametrize("kind", SHOWN)
def test_no_repr_shows_the_token(kind: str) -> None:
    made = SHOWN[kind]()
    assert "hidden" not in f"{made!r} {made} {[made]!r}"


@pytest.fixture
def lines() -> io.StringIO:
    """Log lines at debug level with masking turned off: nothing may rely on masking alone."""
    stream = io.StringIO()
    logs.configure(SimpleNamespace(log_format="json", log_level="debug", log_schema="plain"), stream, secrets=tuple)
    return stream


def refuse(sent: Exchange, credentials: Credentials, token: str) -> None:
    """Fail with the token in every local variable."""
    header = f"Bearer {token}"
    raise OSError(f"not sent: {sent!r} by {credentials!r}; {len(header)} bytes")


def test_a_traceback_shows_no_local_variables(lines: io.StringIO) -> None:
    try:
        refuse(exchange(), Credentials(None, TOKEN), TOKEN)
    except OSError as error:
        logs.get().error("it.failed", exc_info=True)
        logging.getLogger("library").exception("failed")
        shown = "".join(traceback.format_exception(error))
    logs.flush()
    assert lines.getvalue().count("refuse(") >= 2, "the tracebacks are there"
    assert "hidden" not in lines.getvalue() + shown


def test_libraries_do_not_tell_of_requests_even_at_debug(lines: io.StringIO) -> None:
    """httpx logs URLs at info, httpcore headers at debug: neither is heard, whatever `log_level` says."""

    async def ask() -> None:
        client = Client(
            Target("http://api.invalid", 0.5, 0.5, proxy="http://user:hidden@127.0.0.1:1"), Credentials(None, TOKEN)
        )
        await client.list_sessions()
        await client.aclose()
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(204))) as plain:
            await plain.get("http://h/hidden", headers={"authorization": TOKEN})

    asyncio.run(ask())
    for name in ("httpx", "httpcore", "httpcore.http11", "asyncio", "hpack"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
    logs.flush()
    assert lines.getvalue() == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_that_nobody_took_is_told_without_the_token(lines: io.StringIO) -> None:
    """The event loop prints the task, its coroutine and its traceback."""

    async def doomed(credentials: Credentials, token: str) -> None:
        refuse(exchange(), credentials, token)

    async def run() -> None:
        lost = asyncio.ensure_future(doomed(Credentials(None, TOKEN), TOKEN))
        await asyncio.sleep(0.01)
        del lost
        gc.collect()

    asyncio.run(run(), debug=True)
    logs.flush()
    assert "never retrieved" in lines.getvalue()
    assert "hidden" not in lines.getvalue()


def test_metrics_have_no_text_from_outside() -> None:
    metrics = Metrics()
    metrics.sent(Send(1.0, 0.1, error=f"reset: {TOKEN}", request_id=TOKEN))
    metrics.settled(Outcome.REJECTED, 1.0)
    metrics.work(in_flight=0, limit=1, pauses=[Pause(PauseReason.CREDENTIALS, 0.0, TOKEN)])
    page = metrics.render().decode()
    assert "hidden" not in page
    allowed = {
        "outcome",
        "status",
        "state",
        "reason",
        "source",
        "result",
        "rule",
        "level",
        "dir",
        "version",
        "python",
        "le",
        "api",
        "account",
        "queue",
    }
    families = text_string_to_metric_families(page)
    assert {label for family in families for sample in family.samples for label in sample.labels} <= allowed


def test_status_has_numbers_words_of_ours_and_details_of_pauses_only() -> None:
    stats = Stats(1, 0, 0, 0, 1, dict.fromkeys(Outcome, 0), 0, 0, 0, 0.0)
    pause = Pause(PauseReason.CREDENTIALS, 0.0, "the API refused the token (401)")
    ghosts = Ghosts({SessionId("env_1"): 0.0}, frozenset({SessionId("env_1")}))
    hold = Hold("h1", 0.0, 0.0, (Guard.MAX_SHARE,), "9 of 10", {SessionId("env_2"): Rule.EXPIRED})
    worker = WorkerHeartbeat("0a@web-1:7", 7, 0.0, 0.0, 4)
    page = status_json(
        stats, [pause], 4, queue="redis://host", workers=[worker], holds=[hold], ghosts=ghosts, with_ids=False
    )
    texts = [text for text in json.dumps(page).split('"')[1::2] if text not in set(Outcome)]
    assert set(texts) == {
        *page,
        *("reason", "since", "detail", "ends_at", "by"),
        *("credentials", "1970-01-01T00:00:00.000Z", "the API refused the token (401)"),
        *("host", "pid", "started_at", "last_heartbeat_at", "web-1", "redis://host", __version__),
        *("id", "created_at", "expires_at", "guards", "sessions", "h1", "max_share", "9 of 10", "first_seen_at"),
    }
