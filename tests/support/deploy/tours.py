"""How pages are read by root on a machine of their own: what is done before and after a block, and what it was for.

Every block of a page that is a whole tour is run; of another page, those that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.deploy.systemd import API, FIRST, SECOND
from tests.support.docs.blocks import Block, blocks

PRELUDE = f"""
wait_for() {{ timeout 75 bash -c "until $1; do sleep 0.2; done" || {{ echo "in vain: $1" >&2; return 1; }}; }}
order() {{ curl -sf -d "$1" {API}/_sandbox > /dev/null; }}
live() {{ curl -sf -H "Authorization: Bearer $1" {API}/api/sessions | python3 -c "import json, sys
print(*[one['sessionId'] for one in json.load(sys.stdin)['sessions'] if one['alive']][:$2], sep='\\n')"; }}
stopped() {{ sudo -u reaper reaper status | grep -q "^ *stopped  *$1$"; }}
ends_with() {{ local code=0 wanted=$1; shift; "$@" || code=$?; [ $code = $wanted ]; }}
export -f stopped
"""
"""Words for the scripts of a tour, besides those of a shell. They run with `bash -eu -o pipefail`, as root."""

STAND_IN = f"""
sed -i 's|^#base_url = .*|base_url = "{API}"|' /etc/reaper/reaper.toml
systemd-run --quiet --unit=stand-in /opt/reaper/bin/reaper sandbox --port {API.rpartition(":")[2]} \\
    --token {FIRST} --sessions 40
wait_for "curl -sf {API}/_sandbox > /dev/null"
"""
"""Let the settings name a stand-in for the API, and start it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What the reader does at a block: `before` and `after` are scripts, each line of which must work."""

    before: str = ""
    typed: str = ""
    """What the block reads."""
    after: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Tour:
    """A page, read in its order. `stops`: by a block's name, or its first words."""

    stops: Mapping[str, Stop] = field(default_factory=dict)
    before: tuple[tuple[str, str], ...] = ()
    """Blocks of other pages that its reader has run already."""
    whole: bool = True
    user: str = "root"

    def stop_at(self, one: Block) -> Stop | None:
        """Return what its reader does at a block; None: it is not read on a machine."""
        if one.language not in ("sh", "console", "crontab"):
            return None
        named = (stop for begin, stop in self.stops.items() if one.name == begin or one.text.startswith(begin))
        return next(named, Stop() if self.whole else None)


INSTALLED = (("docs/systemd.md", "install"), ("docs/systemd.md", "token"), ("docs/systemd.md", "start"))
"""What a page takes for granted that describes more of a service."""

TOURS: dict[str, Tour] = {
    "docs/cron.md": Tour(
        {
            "user": Stop(typed=f"{FIRST}\n", after=STAND_IN),
            "check": Stop(after=f"live {FIRST} 3 > /etc/reaper/ids.txt"),
            # cron reads the file at the next minute; the page's quarter of an hour becomes each minute.
            "crontab": Stop(
                after="""
sed -i 's|^\\*/15 |* |' /etc/cron.d/reaper
systemd-run --quiet --unit=cron-daemon cron -f
wait_for "stopped 3"
journalctl --identifier=reaper --output=cat | grep '3 sessions in'
systemctl stop cron-daemon
"""
            ),
            "monitor": Stop(
                before="sudo -u reaper reaper add env_1 && sudo -u reaper reaper pause --reason 'a quiet hour'",
                after="sudo -u reaper reaper resume",
            ),
            "metrics": Stop(after="grep '^reaper_once_exit_code 0' /var/lib/node_exporter/reaper.prom"),
            "upgrade": Stop(times=2, after="sleep 1; sudo -u reaper reaper audit"),  # a copy each second
            "remove": Stop(after="! find /etc /var /opt /usr/local/bin -name '*reaper*' -not -path '*/log/*' | grep ."),
        }
    ),
    "docs/systemd.md": Tour(
        {
            "install": Stop(after=STAND_IN),
            "token": Stop(typed=f"{FIRST}\n"),
            # As the page says of the token, until it is a file: the command that is printed works.
            "check": Stop(
                after="""
ends_with 1 sudo -u reaper reaper check > /tmp/found
ends_with 78 sudo -u reaper reaper sessions
ends_with 78 sudo -u reaper reaper once /dev/null
sed -n 's/.*to check as the service: sudo //p' /tmp/found > /tmp/command
grep LoadCredential= /tmp/command
bash -e /tmp/command
"""
            ),
            "start": Stop(after=f'sudo -u reaper reaper add $(live {FIRST} 3)\nwait_for "stopped 3"'),
            "rotate": Stop(
                before=f"""order '{{"token": "{SECOND}"}}'""",
                typed=f"{SECOND}\n",
                after=f'sudo -u reaper reaper add $(live {SECOND} 2)\nwait_for "stopped 5"',
            ),
            "token-file": Stop(after="sudo -u reaper reaper check\nsudo -u reaper reaper sessions"),
            "rotate-file": Stop(
                before=f"""order '{{"token": "{FIRST}"}}'""",
                typed=f"{FIRST}\n",
                after=f'sudo -u reaper reaper add $(live {FIRST} 2)\nwait_for "stopped 7"',
            ),
            "shared-queue": Stop(
                after="""
cp -p /etc/reaper/reaper.toml /etc/reaper/before.toml
systemd-run --quiet --unit=engine -p RuntimeDirectory=engine \\
    redis-server --port 6399 --bind 127.0.0.1 --appendonly yes --dir /run/engine --save ''
wait_for "redis-cli -p 6399 ping > /dev/null"
sed -i '/^.queue.$/,/^.intake.$/s|^url = .*|url = "redis://127.0.0.1:6399/0"|' /etc/reaper/reaper.toml
"""
            ),
            # The two ways exclude each other: from here on it is the ledger's again.
            "shared-queue-start": Stop(
                after=f"""
sudo -u reaper reaper add $(live {FIRST} 2)
wait_for "stopped 2"
mv /etc/reaper/before.toml /etc/reaper/reaper.toml
systemctl stop engine
systemctl restart reaper
stopped 7
"""
            ),
            "upgrade": Stop(times=2, after="sudo -u reaper reaper audit\nstopped 7\nsystemctl is-active reaper"),
            "remove": Stop(after="! systemctl cat reaper reaper-once.timer"),
            "purge": Stop(after="! find /etc /var /opt /usr/local/bin -name '*reaper*' -not -path '*/log/*' | grep ."),
        }
    ),
    "docs/files.md": Tour(
        {
            "groupadd": Stop(
                before="useradd ci",
                # What the page says of a service, and then its own line, as a program of that user.
                after=f"""
mkdir -p /etc/systemd/system/reaper.service.d
printf '%s\\n' '[Service]' SupplementaryGroups=reaper-spool ReadWritePaths=/var/spool/reaper \\
    > /etc/systemd/system/reaper.service.d/spool.conf
sed -i 's|^#spool_dir = .*|spool_dir = "/var/spool/reaper"|' /etc/reaper/reaper.toml
systemctl daemon-reload
systemctl restart reaper
sudo -u ci env SPOOL=/var/spool/reaper session=$(live {FIRST} 1) bash -eu -c "umask 027; $(cat /srv/page/line)"
wait_for "stopped 1"
wait_for "ls /var/spool/reaper/done/*"
""",
            )
        },
        before=INSTALLED,
        whole=False,
    ),
    "docs/console.md": Tour(
        {
            "$ (umask 077; echo": Stop(
                before="""
printf '%s\\n' '[telemetry]' 'admin_token_file = "/etc/reaper/admins"' >> /etc/reaper/reaper.toml
""",
                after="""
wait_for "journalctl --unit=reaper --output=cat | grep -q config.reloaded"
curl -sf -H "Authorization: Bearer $(cut -d' ' -f2 /etc/reaper/admins)" -H 'Content-Type: application/json' \\
    -d '{"reason": "a quiet hour"}' http://127.0.0.1:9464/acts/pause
sudo -u reaper reaper status | grep 'a quiet hour'
""",
            )
        },
        before=INSTALLED,
        whole=False,
    ),
    "docs/container.md": Tour(
        {
            "$ sudo install -d": Stop(
                typed=f"{FIRST}\n",
                after=f"grep -qx {FIRST} /etc/reaper/credentials/archal-token\n"
                "stat -c '%u:%g %a' /etc/reaper/credentials/archal-token | grep -qx '10001:10001 400'",
            ),
            "$ sudo install -o": Stop(
                typed=f"{SECOND}\n",
                after=f"grep -qx {SECOND} /etc/reaper/credentials/archal-token",
            ),
        },
        whole=False,
    ),
}


def on_a_machine(one: Block) -> bool:
    """Return whether a block is run by a tour."""
    return one.page in TOURS and TOURS[one.page].stop_at(one) is not None


def named(page: str, name: str) -> Block:
    (found,) = [one for one in blocks(page) if one.name == name]
    return found
