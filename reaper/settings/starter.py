"""The settings files that `reaper config init` writes: what a person who begins has to decide, and no more."""

from __future__ import annotations

SCHEMA_FILE = "reaper.schema.json"
"""The JSON Schema beside a settings file, by which editors check it."""
SCHEMA_LINE = f"#:schema ./{SCHEMA_FILE}\n"
"""The first line of a settings file, as Tombi, Taplo and Even Better TOML read it."""

_HEAD = """\
# Settings of reaper, for {purpose}.
# Remove the # before a key to set it. Every key and its value: reaper config show.
# Durations are seconds, or text as "90s", "1h30m" or "30d".

[api]
# File that holds the token (mode 0600), read again when it changes. Without it: the variable ARCHAL_TOKEN.
#token_file = "/path/to/token"
"""

_PURPOSES = {
    "daemon": "a daemon: reaper run",
    "once": "single runs, by hand or by cron: reaper once FILE",
    "sidecar": "a sidecar beside a program that makes sessions: reaper run --on-term reap",
    "discovery": "a daemon that finds sessions in the API's own list: reaper run",
}
VARIANTS = tuple(_PURPOSES)

_BODIES = {
    "daemon": """
[intake]
# Files of session IDs, followed as they grow: paths, ~ or patterns.
#files = ["~/sessions/*.ids"]
# Or a spool directory: programs write tmp/NAME and rename it to new/NAME.
#spool_dir = "/var/spool/reaper"

[worker]
# Most DELETEs in flight at once.
#concurrency = 32
# How long a stopping reaper lets them finish; the service manager must allow more.
#drain_timeout_s = 25

[telemetry]
# Address of the web page, /livez, /readyz, /metrics and /status; empty: none.
#listen = "127.0.0.1:9464"

[notify]
# Who gets a message when something needs a person (Apprise: Slack, ntfy, mail, pager, webhook). See: reaper notify test
#urls = ["ntfys://TOPIC"]
# A monitor that is pinged while all is well, and with /fail otherwise (healthchecks.io).
#heartbeat_url = "https://hc-ping.com/UUID"
""",
    "once": """\
# How long a run waits for a working token, and for the API, before it ends. Everything stays queued.
#credentials_wait_s = 30
#unavailable_wait_s = 60

[worker]
# Most DELETEs in flight at once.
#concurrency = 32

[queue]
# How long settled IDs are remembered: one that is read again within this time is a duplicate.
#keep_settled_s = "30d"

[telemetry]
# JSON lines, for a run that cron starts and a collector reads.
#log_format = "json"

[notify]
# Who gets a message when something needs a person (Apprise: Slack, ntfy, mail, pager, webhook). See: reaper notify test
#urls = ["ntfys://TOPIC"]
# A monitor that is pinged while all is well, and with /fail otherwise (healthchecks.io).
#heartbeat_url = "https://hc-ping.com/UUID"
""",
    "sidecar": """
[intake]
# The program writes the IDs of its sessions here: to tmp/NAME, which it renames to new/NAME.
spool_dir = "/var/spool/reaper"
# A session that the program forgot is stopped after this time; longer than the program may run.
default_after_s = "2h"

[worker]
# How long all its sessions may take to stop at the end. The pod's terminationGracePeriodSeconds is at least 10 s more.
drain_timeout_s = 90

[telemetry]
# For the probes of the pod.
listen = "0.0.0.0:9464"
log_format = "json"
""",
    "discovery": """
[discovery]
enabled = true
# false: reaper only reports what it would stop. See `reaper sessions` before you set true.
#enforce = false
# Batch IDs that are alive, one per line, from a file or a command; sessions of others are orphaned. Without: none is.
#owners_file = "/path/to/owners"
#owners_command = ["/path/to/list-owners"]

[protect]
# Session, batch, scenario or clone IDs that are never stopped, and patterns on them.
#ids = ["env_12345"]
#globs = ["prod-*"]

[guard]
# A sweep that would stop more than this is held until `reaper approve` or `reaper discard`.
#max_per_sweep = 100
#max_share = 0.5
""",
}


def starter_toml(variant: str) -> str:
    """Return the settings file of a variant, without the line that names its schema."""
    return _HEAD.format(purpose=_PURPOSES[variant]) + _BODIES[variant]
