"""The sections of the settings: one table, with default, unit, reason and bounds.

The descriptions are the texts of `config/reaper.toml`, `reaper config schema` and docs/configuration.md.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reaper.settings.listen_address import DEFAULT_LISTEN
from reaper.settings.types import (
    Command,
    Float,
    HttpVersion,
    Int,
    Listen,
    Names,
    OptionalPath,
    Paths,
    Patterns,
    PingUrl,
    ProxyUrl,
    QueueUrl,
    ReceiverUrls,
    Seconds,
    Token,
    Url,
)

DAY_S = 86_400.0

_SECTION = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ApiSettings(BaseModel):
    """The API: its address, the token, and how long to wait for it."""

    model_config = _SECTION

    base_url: Url = Field(
        "https://archal.ai",
        description="Address of the API. http is refused unless the host is this machine or api.allow_http is true: "
        "the token would travel in the clear.",
    )
    allow_http: bool = Field(False, description="Allow an http address on another host, for a trusted network only.")
    token: Token = Field(
        None,
        description="The API token; ARCHAL_TOKEN is used when this is not set. A token file wins over both and can be "
        "rotated without a restart.",
    )
    token_file: OptionalPath = Field(
        None,
        description="File that holds the token, read again when it changes. When not set, "
        "$CREDENTIALS_DIRECTORY/archal-token is used if it exists.",
    )

    @model_validator(mode="after")
    def _connects_in_time(self) -> ApiSettings:
        """Let the default of `connect_timeout_s` follow a smaller `timeout_s`."""
        if "connect_timeout_s" not in self.model_fields_set and self.connect_timeout_s > self.timeout_s:
            object.__setattr__(self, "connect_timeout_s", self.timeout_s)
        return self

    timeout_s: Seconds = Field(
        20.0, gt=0, le=3600, description="Total deadline of one send, however slowly the answer drips."
    )
    connect_timeout_s: Seconds = Field(
        5.0,
        gt=0,
        le=3600,
        description="Deadline of connecting, within api.timeout_s: a dead host shows sooner. When not set, at most "
        "api.timeout_s.",
    )
    verify: bool = Field(
        True,
        description="Read the session list once before the first DELETE, so that a wrong token or address stops "
        "nothing; false only for a key that may write but not read.",
    )
    credentials_wait_s: Seconds = Field(
        30.0, ge=0, le=DAY_S, description="How long `once` waits for a working token before it exits with 77."
    )
    unavailable_wait_s: Seconds = Field(
        60.0, ge=0, le=DAY_S, description="How long `once` waits for the API to come back before it exits with 69."
    )
    ca_file: OptionalPath = Field(
        None,
        description="PEM file of the certificate authorities to trust instead of the built-in ones. Read again when it "
        "changes; a new one that cannot be used changes nothing.",
    )
    proxy: ProxyUrl = Field(
        None,
        repr=False,
        description="Proxy for requests to the API, `http://` or `https://`, with `user:password@` if it asks for them "
        "(percent-encoded). The usual proxy variables are ignored: they could re-route the token unnoticed.",
    )
    connection_max_age_s: Seconds = Field(
        300.0,
        gt=0,
        le=DAY_S,
        description="Age at which a connection is renewed, between requests. Connections to an address that the name "
        "no longer has are renewed within a minute.",
    )
    http: HttpVersion = Field("auto", description="HTTP version to speak; auto leaves the choice to the client.")


class WorkerSettings(BaseModel):
    """How fast sessions are stopped, and how work ends."""

    model_config = _SECTION

    concurrency: Int = Field(32, ge=1, le=1000, description="Most DELETEs in flight at once.")
    adaptive: bool = Field(
        True,
        description="Start at 8 in flight, grow while the API keeps up, shrink on 429, timeouts and 5xx other than 500 "
        "and 502, which concern one session; never above worker.concurrency. When false, worker.concurrency "
        "holds from the start.",
    )
    rate_per_s: Float = Field(0.0, ge=0, le=100_000, description="Most DELETEs per second; 0 sets no limit.")
    drain_timeout_s: Seconds = Field(
        25.0,
        gt=0,
        le=2 * 3600,
        description="How long a stopping reaper lets sends in flight finish. Must exceed api.timeout_s, so that each "
        "can; the service manager must allow more than this.",
    )


class RetrySettings(BaseModel):
    """Backoff between the attempts of one session: exponential, with full jitter."""

    model_config = _SECTION

    max_attempts: Int = Field(16, ge=1, le=1000, description="Charged attempts after which a session ends exhausted.")
    base_s: Seconds = Field(1.0, gt=0, le=3600, description="Upper bound of the first delay; it doubles per attempt.")
    cap_s: Seconds = Field(
        600.0,
        gt=0,
        le=DAY_S,
        description="Upper bound of any delay. With the defaults, attempts span about 40 minutes.",
    )


class QueueSettings(BaseModel):
    """The queue and ledger."""

    model_config = _SECTION

    url: QueueUrl = Field(
        "",
        repr=False,
        description="Where the queue is: sqlite:///absolute/path, postgresql://… (or postgres://…), redis://… or "
        "rediss://…. Empty: the SQLite file reaper.db in the state directory.",
    )
    lease_s: Seconds = Field(
        120.0,
        ge=1,
        le=DAY_S,
        description="How long a claimed session is its worker's alone. At least api.timeout_s + 1, better + 10: a "
        "lease that ends during a send lets a second worker send too.",
    )
    keep_settled_s: Seconds = Field(
        30 * DAY_S,
        ge=60,
        le=36_500 * DAY_S,
        description="Settled rows older than this are pruned; dead letters never are. A session ID read again after "
        "that counts as new.",
    )


class IntakeSettings(BaseModel):
    """The files and the spool from which `reaper run` takes session IDs."""

    model_config = _SECTION

    files: Paths = Field(
        (), description="Files to follow, from their beginning: paths, ~ or patterns; they are never changed."
    )
    spool_dir: OptionalPath = Field(
        None, description="Spool directory: producers write tmp/x and rename it to new/x; read files move to done/."
    )
    poll_s: Seconds = Field(1.0, ge=0.05, le=3600, description="Time between two polls of the files and the spool.")
    default_after_s: Seconds = Field(
        0.0,
        ge=0,
        le=365 * DAY_S,
        description="Time to live of IDs that come without a due time: register a session when it is made, and it is "
        "stopped when forgotten. 0: due at once.",
    )


class DiscoverySettings(BaseModel):
    """Finding sessions to stop in the API's own list."""

    model_config = _SECTION

    enabled: bool = Field(
        False,
        description="Read the API's list of sessions regularly, in `reaper run`, and judge each by the "
        "rules of docs/discovery.md; `once --discover` does so without this.",
    )
    interval_s: Seconds = Field(60.0, ge=1, le=DAY_S, description="Time between two readings of the list, ± 10 %.")
    grace_s: Seconds = Field(
        120.0,
        ge=0,
        le=DAY_S,
        description="How long past its expiry, or past 24 h, a session is left alone: people renew late.",
    )
    enforce: bool = Field(False, description="Stop what the policy chose. When false, it is only reported.")
    owners_file: OptionalPath = Field(
        None, description="File with the batch IDs that are alive, one per line; sessions of others are orphaned."
    )
    owners_command: Command = Field(
        (),
        description="Command that prints the batch IDs that are alive, one per line; run without a shell, and not at "
        "all where discovery.owners_file is set.",
    )
    owners_timeout_s: Seconds = Field(
        10.0, gt=0, le=600, description="Deadline of the owners command; without its answer nothing is orphaned."
    )


class ProtectSettings(BaseModel):
    """Sessions that are never stopped, no matter who asks for it."""

    model_config = _SECTION

    ids: Names = Field(
        (),
        description="Session, batch, scenario or clone IDs to spare. As soon as anything is protected, each session is "
        "read once more before its DELETE.",
    )
    globs: Patterns = Field((), description="Patterns with * and ? on the same IDs.")
    file: OptionalPath = Field(
        None, description="File with further IDs and patterns, one per line; read again when it changes."
    )


class GuardSettings(BaseModel):
    """Limits on one sweep (one reading of the list, judged); a sweep over a limit is held whole for approval."""

    model_config = _SECTION

    max_per_sweep: Int = Field(100, ge=1, le=1_000_000, description="Most sessions that one sweep may stop.")
    max_share: Float = Field(
        0.5, gt=0, le=1, description="Largest share of the live sessions that one sweep may stop, from 10 live ones on."
    )
    list_shrink: Float = Field(
        0.5, gt=0, le=1, description="Share by which the list may shrink between two readings before a sweep is held."
    )


class NotifySettings(BaseModel):
    """Who is notified when something needs a person, and who is pinged while all is well."""

    model_config = _SECTION

    @property
    def is_on(self) -> bool:
        return bool(self.urls) or self.heartbeat_url is not None

    urls: ReceiverUrls = Field(
        (),
        repr=False,
        description="Receivers of messages, as URLs of Apprise: chat, mail, telephone, webhook; docs/notifications.md. "
        "Needs the extra `notify`. One message per change and queue, however many reapers work on it.",
    )
    heartbeat_url: PingUrl = Field(
        None,
        repr=False,
        description="Address that each reaper pings after a good run (`once`) or minute (`run`); after another one, "
        "`/fail` behind it, as healthchecks.io has it. http as for api.base_url.",
    )


class TelemetrySettings(BaseModel):
    """Logs, metrics and the health listener."""

    model_config = _SECTION

    listen: Listen = Field(
        DEFAULT_LISTEN,
        description="Address of the web page, /livez, /readyz, /metrics and /status while `reaper run` works; "
        "empty: none.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="Form of log lines on stderr: for a person (console) or JSON; auto: JSON for `reaper run` away "
        "from a terminal, else console. With `--json` always JSON.",
    )
    log_schema: Literal["plain", "ecs"] = Field(
        "plain",
        description="Names of the fields in JSON logs: reaper's own, or those of the Elastic Common Schema.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    page_ids: bool = Field(
        False,
        description="Show session IDs on the web page: lists, dead letters in groups, holds, search, the story of one.",
    )
    admin_token_file: OptionalPath = Field(
        None,
        description="File with a line `NAME TOKEN` for each person who may act on the web page (mode 0600); read again "
        "when it changes. Without it nobody can.",
    )
