"""`reaper health`: asks whether the daemon is alive. Standard library only: probes run it every few seconds."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time

DEADLINE_S = 2.0
MAX_ANSWER_BYTES = 4096


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"Asks /livez at telemetry.listen; exit 0 if it answers 200 within {DEADLINE_S:g} s, else 1."


def main(words: list[str]) -> int | None:
    """Run `health` alone; return its code, or None where the whole command line is needed, for help or an error."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    parser.add_argument("--config")
    parser.add_argument("--profile")
    parser.add_argument("--json", action="store_true")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_true")
    loud.add_argument("-q", "--quiet", action="store_true")
    try:
        args, unknown = parser.parse_known_args(words)
    except argparse.ArgumentError:
        unknown = words
    return None if unknown else run(args)


def run(args: argparse.Namespace) -> int:
    from reaper.core.errors import ReaperError
    from reaper.settings.listen_address import listen_address

    try:
        address = listen_address(args.config, profile=args.profile)
    except ReaperError as error:
        return _fail(str(error), as_json=args.json)
    fault = ask(*address) if address else "telemetry.listen is empty, so there is nothing to ask"
    return 0 if fault is None else _fail(fault, as_json=args.json)


def _fail(sentence: str, *, as_json: bool) -> int:
    """Print the reason; by hand, because the log of the other commands takes too long to load."""
    from reaper.core.text import escaped
    from reaper.telemetry.log_form import is_json_early

    line = f"reaper: {escaped(sentence)}\n"
    if sys.stderr is None:
        return 1
    if is_json_early(["--json"] if as_json else [], os.environ, sys.stderr):
        import json

        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = {"timestamp": now, "level": "error", "event": "reaper.exited", "exit": 1, "error": sentence}
        line = json.dumps({**event, "detail": sentence}) + "\n"
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # what is left of it would fail at the exit
    return 1


def ask(host: str, port: int, deadline_s: float = DEADLINE_S) -> str | None:
    """Ask /livez; return None when it answers 200 in time, else the fault."""
    from reaper.settings.listen_address import address_to_ask

    where = f"{host}:{port}"
    end = time.monotonic() + deadline_s
    answer = b""
    try:
        with socket.create_connection(address_to_ask(host, port), timeout=deadline_s) as link:
            link.sendall(f"GET /livez HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode())
            while b"\r\n" not in answer and len(answer) < MAX_ANSWER_BYTES:
                link.settimeout(max(end - time.monotonic(), 0.001))
                part = link.recv(1024)
                if not part:
                    break
                answer += part
    except TimeoutError:
        return f"no answer from {where} within {deadline_s:g} s: the daemon hangs"
    except OSError as error:
        return f"nothing answers at {where} ({error.strerror or error}): is `reaper run` running?"
    words = answer.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return f"the program that answers at {where} is not reaper"
    return None if words[1] == b"200" else f"{where} answered {words[1][:3].decode('ascii', 'replace')}, not 200"
