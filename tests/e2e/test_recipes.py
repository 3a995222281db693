"""The recipes of docs/recipes.md as they stand there: who dies is reaped after its time, who lives is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from reaper.sandbox.sessions import Session
from tests.support.docs.blocks import block
from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, watch
from tests.support.sandbox import RunningSandbox, running_sandbox

TTL_S = 10  # a job renews it each second, by a process of its own: on a busy machine that takes seconds
BIN = Path(sys.executable).parent


def recipe(name: str) -> str:
    return block("docs/recipes.md", name=name)


@dataclass(slots=True)
class Job:
    """A job in a directory of its own; `process` is what a kill -9 meets."""

    home: Path
    session: str
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    def script(self, name: str, text: str) -> None:
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, *words: str) -> int:
        with (self.home / "stderr").open("ab") as log:
            self.process = subprocess.Popen(
                words,
                cwd=self.home,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return self.process.wait()

    @property
    def working(self) -> bool:
        return (self.home / "working").exists()

    def finish(self) -> None:
        (self.home / "finish").touch()

    def kill(self) -> None:
        assert self.process is not None
        self.killed = True
        self.process.send_signal(signal.SIGKILL)


def workflow(job: Job) -> None:
    """Run the step as a runner does."""
    (spec,) = yaml.safe_load(recipe("workflow"))["jobs"].values()
    (step,) = spec["steps"]
    job.start("bash", "-e", "-c", step["run"])


def plain(job: Job) -> None:
    job.script("job", recipe("plain"))
    job.start("./job")


def in_pytest(job: Job) -> None:
    job.script("conftest.py", recipe("pytest"))
    job.script("my_project.py", f"def create_session():\n    return {job.session!r}\n")
    job.script(
        "test_it.py",
        "import subprocess\n\n\ndef test_it(hosted_session):\n"
        f"    assert hosted_session == {job.session!r}\n    subprocess.run(['./run-tests'], check=True)\n",
    )
    job.environ["PYTHONPATH"] = str(job.home)
    job.start(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")


def sent(sandbox: RunningSandbox) -> set[str]:
    return set(sandbox.do(lambda s: dict(s.sends)))


@contextmanager
def begun(run: Callable[[Job], None], command: Command, name: str) -> Iterator[Job]:
    home = command.home / name
    home.mkdir()
    environ = {**command.environ(), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "TTL": f"{TTL_S}", "EVERY": "1"}
    job = Job(home, f"env_{name}", environ)
    job.script("create-session", f"#!/bin/sh\necho {job.session}\n")
    job.script("run-tests", "#!/bin/sh\ntouch working\nuntil [ -e finish ]; do sleep 0.1; done\n")

    def run_and_end() -> None:
        run(job)
        job.over.set()

    thread = threading.Thread(target=run_and_end)
    thread.start()
    try:
        yield job
    finally:
        job.finish()
        thread.join(30)


@pytest.mark.slow
@pytest.mark.untraced  # a job renews its time each second, and a traced start takes longer than that
@pytest.mark.parametrize("run", [workflow, plain, in_pytest], ids=lambda run: run.__name__)
def test_who_dies_is_reaped_who_lives_is_not_and_who_ends_is_stopped_at_once(
    command: Command, run: Callable[[Job], None]
) -> None:
    now = time.time()
    names = ("dies", "lives")
    some = [Session(f"env_{name}", created_at=now, expires_at=now + 3600) for name in names]
    with running_sandbox(some) as sandbox:
        watch(command, sandbox, intake__poll_s=0.2)
        with daemon(command), begun(run, command, "dies") as dies, begun(run, command, "lives") as lives:
            eventually(lambda: dies.working and lives.working)
            since = time.monotonic()
            dies.kill()
            eventually(lambda: "env_dies" in sent(sandbox))
            assert time.monotonic() - since > TTL_S / 4, "it had its time"
            eventually(lambda: time.monotonic() - since > 2.5 * TTL_S)
            assert sent(sandbox) == {"env_dies"}, "who lives was stopped"
            lives.finish()
            assert lives.over.wait(30)
            eventually(lambda: "env_lives" in sent(sandbox), TTL_S)
            assert command.json("show", "env_lives")["outcome"] == "stopped"
    command.audit()


@pytest.mark.parametrize("name", ["workflow", "plain", "shell", "pytest"])
def test_a_recipe_is_short(name: str) -> None:
    assert len(recipe(name).splitlines()) <= 25
