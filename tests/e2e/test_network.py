"""The installed command on a network as it is: proxies that come and go, bundles, certificates."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import trustme

from reaper.sandbox.sessions import generate
from tests.support.eventually import eventually
from tests.support.http.proxies import tinyproxy
from tests.support.processes.command import Command
from tests.support.processes.daemon import configure, daemon, events, free_port, reload, watch
from tests.support.sandbox import running_sandbox

CA = trustme.CA()
DAY = datetime.timedelta(days=1)


def server(**validity: datetime.datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1", **validity).configure_cert(context)  # type: ignore[arg-type]
    return context


def test_a_reload_follows_a_proxy_that_is_set_changed_and_removed(command: Command, tmp_path: Path) -> None:
    ids = [session.session_id for session in generate(4, 7)]
    with running_sandbox(list(generate(4, 7))) as sandbox, tinyproxy(tmp_path) as proxy:
        watch(command, sandbox)

        def add(which: int) -> None:
            assert command.run("add", ids[which]).returncode == 0

        configure(command, "[worker]\nconcurrency = 4\n")
        with daemon(command) as process:
            eventually(lambda: bool(events(command, "reaper.ready")))
            add(0)
            eventually(lambda: len(sandbox.sends) == 1)
            assert "sessions" not in proxy.asked()
            configure(command, f'[worker]\nconcurrency = 4\n[api]\nproxy = "{proxy.url()}"\n')
            assert reload(command, process)["changed"] == ["api.proxy"]
            add(1)
            eventually(lambda: len(sandbox.sends) == 2)
            assert f"DELETE {sandbox.url}/api/sessions/{ids[1]}" in proxy.asked()
            configure(command, f'[worker]\nconcurrency = 4\n[api]\nproxy = "http://127.0.0.1:{free_port()}"\n')
            reload(command, process)
            add(2)
            eventually(lambda: "the proxy refused the connection" in command.run("show", ids[2]).stdout)
            configure(command, "[worker]\nconcurrency = 4\n")
            reload(command, process)
            eventually(lambda: len(sandbox.sends) == 3)
            assert ids[2] not in proxy.asked()
    assert set(command.outcomes().values()) == {"stopped"}
    command.audit()


def test_a_bundle_that_breaks_under_a_daemon_is_said_and_the_old_one_kept(command: Command, tmp_path: Path) -> None:
    ids = [session.session_id for session in generate(3, 7)]
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(CA.cert_pem.bytes())
    command.env["REAPER_API__CA_FILE"] = str(bundle)
    command.env["REAPER_API__CONNECTION_MAX_AGE_S"] = "0.05"
    with running_sandbox(list(generate(3, 7)), ssl_context=server()) as sandbox:
        watch(command, sandbox)
        with daemon(command):
            eventually(lambda: bool(events(command, "reaper.ready")))
            assert command.run("add", ids[0]).returncode == 0
            eventually(lambda: len(sandbox.sends) == 1)
            bundle.write_text("this is no certificate\n")

            def said() -> list[dict[str, object]]:
                return [event for event in events(command, "intake.failed") if "api.ca_file" in str(event["error"])]

            for number, one in enumerate(ids[1:]):
                assert command.run("add", one).returncode == 0
                eventually(lambda: len(sandbox.sends) == number + 2)  # noqa: B023
            eventually(lambda: bool(said()))
            assert len(said()) == 1
            assert "stay in force" in str(said()[0]["error"])
    assert set(command.outcomes().values()) == {"stopped"}


def test_a_pause_says_why_tls_failed(command: Command, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(CA.cert_pem.bytes())
    command.env["REAPER_API__CA_FILE"] = str(bundle)
    now = datetime.datetime.now(datetime.UTC)
    expired = server(not_before=now - 9 * DAY, not_after=now - DAY)
    with running_sandbox(1, ssl_context=expired) as sandbox:
        watch(command, sandbox)
        assert command.run("add", "env_1").returncode == 0
        with daemon(command):
            eventually(lambda: bool(events(command, "api.paused")))
            assert "its certificate has expired" in str(events(command, "api.paused")[0]["detail"])
            eventually(lambda: "its certificate has expired" in " ".join(command.run("status").stdout.split()))
