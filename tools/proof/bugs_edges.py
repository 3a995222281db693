"""Bugs where reaper meets the world: the API, files, logs."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

EDGES: tuple[Bug, ...] = (
    bug(
        "redirects-followed",
        "a redirect is followed: the token goes to another host",
        "reaper/api/client.py",
        "            await self._sender.send(exchange)\n",
        "            await self._sender.send(exchange)\n"
        "            for name, value in list(exchange.response_headers):\n"
        '                if 300 <= exchange.status < 400 and name == b"location":\n'
        "                    exchange.begin(None)\n"
        "                    await _sender(httpx.URL(value.decode()), self._target).send(exchange)\n",
        fails="tests/integration/test_token_stays.py::test_a_redirect_to_another_port_is_not_followed",
    ),
    bug(
        "id-not-encoded",
        "an ID with a slash names another path",
        "reaper/api/client.py",
        'name = session_id if _is_unreserved(session_id) else quote(session_id, safe="")',
        "name = session_id if _is_unreserved(session_id) else quote(session_id)",
        fails="tests/integration/test_client.py::test_an_id_is_one_encoded_segment[a/b?c#d]",
    ),
    bug(
        "no-total-deadline",
        "the timeout is one of each read: a server that drips holds a send for ever",
        "reaper/api/http/http11.py",
        "        exchange.response_started = True\n        try:\n",
        "        exchange.response_started = True\n        exchange.deadline += 0.1\n        try:\n",
        fails="tests/integration/test_transport.py::test_the_total_deadline_holds[ours-asyncio-drip in the body]",
    ),
    bug(
        "body-read-whole",
        "an answer's body is read to its end, however long it is",
        "reaper/api/http/http11.py",
        "        if len(data) > left:\n",
        "        if len(data) > left and self._until_close:\n",
        fails="tests/unit/test_http11.py::test_a_body_is_cut_where_it_is_too_long",
    ),
    bug(
        "position-runs-ahead",
        "the position that is kept is that of the lines read, not of the lines taken in",
        "reaper/intake/follower.py",
        "            end = parsed or tail.lines\n",
        "            end = tail.lines\n",
        fails="tests/integration/test_follower.py::test_after_a_queue_error_no_line_is_lost_or_repeated[False]",
    ),
    bug(
        "spool-moved-first",
        "a spool file is moved to done/ before its IDs are in the queue",
        "reaper/intake/spool.py",
        "                added = await self._take_in(path, report)\n",
        '                added = await self._take_in(self._move(path, "done"), report)\n',
        '            await to_thread.run_sync(self._move, path, "done")\n            total = add_up',
        "            total = add_up",
        fails="tests/integration/test_spool.py::test_a_crash_between_commit_and_move_is_harmless",
    ),
    bug(
        "token-in-the-log",
        "what is logged is not searched for the token",
        "reaper/telemetry/logs.py",
        "    render = MaskedRenderer(render, secrets)\n",
        "",
        fails="tests/unit/test_logs.py::test_the_token_is_masked_wherever_it_stands[json]",
    ),
    bug(
        "echoed-token-kept",
        "an answer that repeats the token is written down as it is",
        "reaper/api/client.py",
        '        if method == b"DELETE" and body:  # only bodies of DELETEs are stored\n',
        '        if method == b"GET" and body:\n',
        fails="tests/integration/test_token_stays.py::test_a_token_that_the_answer_repeats_is_not_kept",
    ),
    bug(
        "token-in-a-repr",
        "the repr of an exchange shows its headers: a debugger or a traceback shows the token",
        "reaper/api/http/exchange.py",
        '        return f"Exchange({self.method!r}, {self.target!r}, status={self.status}, written={self.written})"\n',
        '        return f"Exchange({self.method!r}, {self.target!r}, {self.headers!r}, status={self.status})"\n',
        fails="tests/integration/test_redaction.py::test_no_repr_shows_the_token",
    ),
    bug(
        "ledger-for-all",
        "the ledger can be read by every user of the machine",
        "reaper/queues/sqlite/schema.py",
        "os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600",
        "os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644",
        fails="tests/integration/test_sqlite_open.py::test_everything_it_makes_is_private",
    ),
)
