"""A network of its own for this thread and all it starts, in which packets of one port are lost in one direction."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tests.support.programs import missing, need

Way = Literal["to", "from", "both"]
CLONE_NEWNET = 0x40000000


@contextmanager
def own_network() -> Iterator[None]:
    """Enter a network namespace with nothing but a loopback of its own; leave it at the end."""
    ip, iptables, libc = need("ip"), need("iptables"), ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            missing("unshare", f"is not allowed here ({os.strerror(ctypes.get_errno())})")
        try:
            subprocess.run([ip, "link", "set", "lo", "up"], check=True)
            _look(iptables)
            yield
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(home)


@contextmanager
def partition(port: int, way: Way) -> Iterator[None]:
    """Lose every packet to or from whoever listens on `port`, silently, as a broken switch does."""
    rules = {"to": [["--dport", str(port)]], "from": [["--sport", str(port)]]}
    chosen = rules["to"] + rules["from"] if way == "both" else rules[way]
    for rule in chosen:
        _filter("-A", rule)
    try:
        yield
    finally:
        for rule in chosen:
            _filter("-D", rule)


def _look(iptables: str) -> None:
    listed = subprocess.run([iptables, "-w", "-L"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        missing("iptables", f"has nothing in this kernel to work with ({listed.stderr.strip()})")


def _filter(verb: str, rule: list[str]) -> None:
    subprocess.run([need("iptables"), "-w", verb, "INPUT", "-p", "tcp", *rule, "-j", "DROP"], check=True)
