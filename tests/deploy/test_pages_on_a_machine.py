"""The pages that root reads, each on a machine that has never seen reaper, block after block as they stand there.

The machine is a `systemd_box`; each block is a login of its own, in a clone below a closed home, with a strict umask.
`tests/support/deploy/tours.py` has what the reader does between the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deploy.systemd import FIRST, Host, fresh_host
from tests.support.deploy.tours import PRELUDE, STAND_IN, TOURS, Stop, named
from tests.support.docs.blocks import Block, blocks
from tests.support.programs import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOGIN = "umask 077\ncd /root/archal-reaper\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Host]:
    with fresh_host(tmp_path) as fresh:
        fresh.box.run("cp", "-r", "/srv/clone", "/root/archal-reaper")
        fresh.box.run("chmod", "0700", "/root")
        yield fresh


@pytest.mark.parametrize("page", TOURS)
def test_a_page_runs_on_a_fresh_machine(machine: Host, page: str) -> None:
    if page == "docs/cron.md":
        need("cron")
    if page == "docs/systemd.md":
        need("redis-server")
    tour = TOURS[page]
    for place, name in tour.before:
        paste(machine, named(place, name), Stop(typed=f"{FIRST}\n", after=STAND_IN if name == "install" else ""))
    (line,) = [one.text for one in blocks("docs/files.md") if one.text.startswith("printf '%s")]
    machine.box.write("/srv/page/line", line)
    run = 0
    for one in blocks(page):
        if (stop := tour.stop_at(one)) is not None:
            paste(machine, one, stop)
            run += 1
    assert run >= len(tour.stops)


def paste(machine: Host, one: Block, stop: Stop) -> None:
    """Do what a page's reader does with one block."""
    machine.box.shell(f"{PRELUDE}\n{stop.before}")
    for _ in range(stop.times):
        if one.language == "crontab":
            machine.box.write("/etc/cron.d/reaper", one.text)
        else:
            machine.box.shell(LOGIN + "\n".join(step.command for step in one.steps), typed=stop.typed)
        machine.box.shell(f"{PRELUDE}\n{stop.after}")
