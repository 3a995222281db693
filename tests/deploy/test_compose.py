"""compose/: Compose parses it, and what it names is there and accepted: files, secrets, settings, rules, Redis options.

No container is started: that needs an engine and a registry.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from reaper.core.urls import masked_url
from reaper.settings.load import Loaded, load
from reaper.settings.schema import Settings
from tests.support.deploy.monitoring import RULES, run
from tests.support.docs.blocks import block
from tests.support.docs.reader import Reader
from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.programs import missing, need
from tests.support.queues.redis_server import free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose"
ENGINES = ("postgres", "redis")
PAGE = "docs/container.md"
IMAGES = {"archal-reaper", "postgres:17-bookworm", "redis:7.4-bookworm", "prometheus:v3.5.0", "grafana:12.1.0"}

Service = dict[str, Any]


def parsed(file: Path, *profiles: str) -> dict[str, Any]:
    """Return a file as Compose reads it, which refuses what its schema does not know."""
    words = [need("docker-compose"), "--file", str(file), *(f"--profile={one}" for one in profiles), "config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    whole: dict[str, Any] = yaml.safe_load(done.stdout)
    return whole


def services(*profiles: str) -> dict[str, Service]:
    found: dict[str, Service] = parsed(FOLDER / "compose.yaml", *profiles)["services"]
    return {name: one for name, one in found.items() if set(one.get("profiles", profiles)) & set(profiles)}


def mounts(service: Service) -> dict[str, str]:
    """Return the target of each mount, and what is mounted there: a path, or a volume's name."""
    found = {}
    for one in service.get("volumes", ()):
        source, target = (one["source"], one["target"]) if isinstance(one, dict) else one.split(":")[:2]
        found[target] = source
    return found


def environment_of(service: Service) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_each_profile_has_reaper_its_engine_and_what_watches_them(engine: str) -> None:
    whole = services(engine)
    assert set(whole) == {f"reaper-{engine}", engine, "prometheus", "grafana"}
    assert set(whole[f"reaper-{engine}"]["depends_on"]) == {engine}
    assert "healthcheck" in whole[engine]
    assert {one["image"].rpartition("/")[2] for one in whole.values()} <= IMAGES


def test_what_compose_does_not_know_is_refused(tmp_path: Path) -> None:
    text = (FOLDER / "compose.yaml").read_text()
    (tmp_path / "compose.yaml").write_text(text.replace("read_only: true", "read_onyl: true"))
    with pytest.raises(AssertionError, match="read_onyl"):
        parsed(tmp_path / "compose.yaml", "redis")


def test_every_file_that_is_mounted_is_there() -> None:
    whole = services(*ENGINES)
    sources = {source for one in whole.values() for source in mounts(one).values()}
    files = {source for source in sources if source.startswith(("/", "."))}
    made = str(FOLDER / "secrets" / "reaper")
    assert made in files
    assert [source for source in files - {made} if not Path(source).is_file()] == []
    assert sources - files == set(yaml.safe_load((FOLDER / "compose.yaml").read_text())["volumes"])
    assert (FOLDER / Path(whole["reaper-redis"]["build"]["context"]) / "Dockerfile").is_file()


def test_only_two_ports_are_published_and_on_loopback_alone() -> None:
    published = {name: one["ports"] for name, one in services(*ENGINES).items() if "ports" in one}
    assert set(published) == {"prometheus", "grafana"}
    for ports in published.values():
        for one in ports:
            host = one.get("host_ip") if isinstance(one, dict) else one.split(":")[0]
            assert host == "127.0.0.1"


def test_reaper_runs_as_docs_container_md_runs_it() -> None:
    for engine in ENGINES:
        one = services(engine)[f"reaper-{engine}"]
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        found = re.fullmatch(r"(\d+)s", one["stop_grace_period"])
        assert found
        assert int(found[1]) >= Settings().worker.drain_timeout_s + 10


def test_passwords_come_from_files() -> None:
    for one in services(*ENGINES).values():
        for name, value in environment_of(one).items():
            if re.search("PASSWORD|TOKEN|SECRET", name):
                assert name.endswith("_FILE"), name
                assert value.startswith(("/run/secrets/", "/run/credentials/")), name
    text = (FOLDER / "compose.yaml").read_text()
    assert re.findall(r"file: (\S+)", text) == ["./secrets/engine", "./secrets/grafana"]
    ignored = subprocess.run(["git", "check-ignore", "-q", "compose/secrets/engine"], cwd=ROOT, check=False)
    if (ROOT / ".git").exists():
        assert ignored.returncode == 0, "git would take the secrets in"


def test_compose_reads_the_example_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(block(PAGE, begin="services:"))
    assert set(parsed(tmp_path / "compose.yaml")["services"]) == {"reaper"}


# --- the secrets, and the settings that they are part of --------------------------------------------------------------


@pytest.fixture(params=ENGINES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """An engine, and the directory `compose` in which the page's commands have made its secrets."""
    if os.geteuid() != 0:
        missing("root", "is needed to give files to user 10001")
    folder = tmp_path / "compose"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("secrets"))
    names = ["compose-postgres", *(["compose-redis"] if request.param == "redis" else []), "compose-token"]
    with Reader(folder, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}) as reader:
        assert reader.paste('sudo() { "$@"; }').code == 0
        for name in names:
            for command in re.findall(r"^\$ ((?:.*\\\n)*.*)", block(PAGE, name=name), flags=re.MULTILINE):
                done = reader.paste(command, "archal_ws_compose\n" if "archal-token" in command else "")
                assert done.code == 0, f"{command}\n{done.said}"
    return request.param, folder


def settings_of(engine: str, folder: Path) -> Loaded:
    """Return the settings of reaper in its container, whose mounts are replaced by what is mounted there."""
    one = services(engine)[f"reaper-{engine}"]
    assert set(mounts(one)) == {"/run/credentials"}
    environ = environment_of(one)
    for name, value in environ.items():
        environ[name] = value.replace("/run/credentials", str(folder / "secrets" / "reaper"))
    return load(None, {}, {"HOME": "/nowhere", **environ})


def test_the_page_makes_the_secrets(made: tuple[str, Path]) -> None:
    engine, folder = made
    modes = {
        str(path.relative_to(folder)): (path.stat().st_mode & 0o777, path.stat().st_uid)
        for path in [folder / "secrets", *(folder / "secrets").rglob("*")]
    }
    assert modes == {
        "secrets": (0o700, 0),
        "secrets/engine": (0o444, 0),
        "secrets/grafana": (0o444, 0),
        "secrets/reaper": (0o700, 10001),
        "secrets/reaper/archal-token": (0o400, 10001),
        "secrets/reaper/reaper.toml": (0o400, 10001),
    }
    loaded = settings_of(engine, folder)
    assert loaded.warnings == ()
    settings = loaded.settings
    assert settings.api.token_file is not None
    assert settings.api.token_file.read_text() == "archal_ws_compose\n"
    assert settings.telemetry.listen == "0.0.0.0:9464"
    scheme, user, place = {
        "postgres": ("postgresql", "reaper", "postgres/reaper"),
        "redis": ("redis", "default", "redis/0"),
    }[engine]
    password = (folder / "secrets" / "engine").read_text().removeprefix("requirepass ").strip()
    assert re.fullmatch(r"[\w-]{32}", password)
    assert settings.queue.url == f"{scheme}://{user}:{password}@{place}"
    assert password not in masked_url(settings.queue.url)
    if engine == "postgres":
        wanted = environment_of(services(engine)["postgres"])
        assert (wanted["POSTGRES_USER"], wanted["POSTGRES_DB"]) == ("reaper", "reaper")


@pytest.mark.parametrize("made", ["redis"], indirect=True)
def test_a_redis_with_these_options_is_one_that_reaper_trusts(made: tuple[str, Path], tmp_path: Path) -> None:
    """`queue init` warns of an engine that may lose IDs; here it has nothing to say, and needs the password."""
    _, folder = made
    command = Command(tmp_path)
    (program, *words), port = services("redis")["redis"]["command"], free_port()
    words = [word.replace("/run/secrets/engine", str(folder / "secrets" / "engine")) for word in words]
    (folder / "data").mkdir()
    server = subprocess.Popen(
        [need(program), *words, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder / "data")],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: "NOAUTH" in said_by(port), what="Redis asks for a password")
        url = settings_of("redis", folder).settings.queue.url
        assert url is not None
        command.env["REAPER_QUEUE__URL"] = url.replace("@redis/0", f"@127.0.0.1:{port}/0")
        done = command.run("queue", "init")
        assert (done.returncode, done.stderr) == (0, "")
        assert command.json("add", "env_1")["accepted"] == 1
        command.env["REAPER_QUEUE__URL"] = f"redis://default:wrong@127.0.0.1:{port}/0"
        assert command.run("queue", "init").returncode == 69
    finally:
        server.kill()
        server.wait()


def said_by(port: int) -> str:
    """Return what the health check of the file prints."""
    _, *words = services("redis")["redis"]["healthcheck"]["test"]
    assert words == ["redis-cli", "ping"]
    done = subprocess.run([need("redis-cli"), "-p", str(port), *words[1:]], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


# --- what watches -----------------------------------------------------------------------------------------------------


@pytest.fixture
def prometheus_folder(tmp_path: Path) -> Path:
    """What the container of Prometheus sees in /etc/prometheus."""
    for target, source in mounts(services("redis")["prometheus"]).items():
        if target.startswith("/etc/prometheus/"):
            shutil.copy(source, tmp_path / target.removeprefix("/etc/prometheus/"))
    return tmp_path


def test_prometheus_takes_the_configuration_and_the_rules(prometheus_folder: Path) -> None:
    done = run(need("promtool"), "check", "config", str(prometheus_folder / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 1 rule files found" in done.stdout
    assert (prometheus_folder / "reaper.rules.yaml").read_text() == RULES.read_text()
    (prometheus_folder / "reaper.rules.yaml").unlink()
    assert run(need("promtool"), "check", "config", str(prometheus_folder / "prometheus.yml")).returncode != 0


def test_prometheus_scrapes_the_reapers_under_the_name_that_the_alerts_expect() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (look_up,) = job["dns_sd_configs"]
    assert job["job_name"] == "reaper"
    assert look_up["names"] == [f"reaper-{engine}" for engine in ENGINES]
    listen = environment_of(services("redis")["reaper-redis"])["REAPER_TELEMETRY__LISTEN"]
    assert (look_up["type"], f"0.0.0.0:{look_up['port']}") == ("A", listen)


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    grafana = mounts(services("redis")["grafana"])
    provisioning = "/etc/grafana/provisioning"
    (source,) = yaml.safe_load(Path(grafana[f"{provisioning}/datasources/reaper.yaml"]).read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load(Path(grafana[f"{provisioning}/dashboards/reaper.yaml"]).read_text())["providers"]
    (shown,) = [place for target, place in grafana.items() if Path(target).parent == Path(provider["options"]["path"])]
    variables = json.loads(Path(shown).read_text())["templating"]["list"]
    assert [one["query"] for one in variables if one["type"] == "datasource"] == [source["type"]]
