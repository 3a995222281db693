"""Bugs in how bytes travel: connections, proxies, TLS, codings."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

_UNASKED = "tests/integration/test_unasked_answers.py::test_it_ends_a"

NETWORK: tuple[Bug, ...] = (
    bug(
        "sent-after-the-wait",
        "what waits for a connection when the API asks for silence is sent as soon as there is one",
        "reaper/api/http/pool.py",
        "        if not (exchange.written or exchange.may_start is None or exchange.may_start()):\n",
        "        if False:\n",
        fails="tests/integration/test_withheld.py::test_after_a_wait_for_a_connection_it_asks_whether_to_send",
    ),
    bug(
        "unasked-answer-taken",
        "an answer that lies in a connection before the request is written is taken for the answer to it",
        "reaper/api/http/http11.py",
        "        if self._poll is not None and self._poll(0):\n            if self._tls",
        "        if False:\n            if self._tls",
        fails=(
            f"{_UNASKED}_connection_that_was_used[asyncio-in the kernel-plain-a whole answer]",
            f"{_UNASKED}_new_connection[asyncio-plain-a whole answer]",
        ),
    ),
    bug(
        "unasked-answer-of-a-handshake-taken",
        "what a server says with the end of the TLS handshake is taken for the answer to the first request",
        "reaper/api/http/http11.py",
        "        self._looked = not self._tls\n",
        "        self._looked = True\n",
        fails="tests/integration/test_unasked_answers.py::"
        "test_an_answer_that_comes_with_the_end_of_the_handshake_is_none[uvloop]",
    ),
    bug(
        "end-cuts-an-answer",
        "of an answer over TLS that comes with the end of its connection, what the buffer does not hold is lost",
        "reaper/api/http/receiver.py",
        "        return self._buffer\n",
        "        return self._buffer[: 2 * RECORD_BYTES]\n",
        fails="tests/integration/test_receiver.py::"
        "test_an_answer_is_whole_whose_end_comes_with_the_end_of_the_connection[uvloop-until the end-idle]",
    ),
    bug(
        "lost-connection-kept",
        "a closed TLS connection, with its buffers, stays until a collection, of which a long run has none",
        "reaper/api/http/http11.py",
        "        self._let_go()\n",
        "",
        fails="tests/integration/test_receiver.py::test_a_closed_connection_is_freed_at_once[uvloop]",
    ),
    bug(
        "proxy-asked-for-a-path",
        "a proxy is asked for the path of the request instead of the host and port of the API",
        "reaper/api/http/proxy.py",
        'lines = [b"CONNECT %b HTTP/1.1" % to, ',
        'lines = [b"CONNECT /api/sessions HTTP/1.1", ',
        fails="tests/integration/test_proxy_answers.py::test_the_proxy_is_asked_for_host_and_port_and_gets_no_token"
        "[asyncio-https://api.invalid-api.invalid:443]",
    ),
    bug(
        "timeout-of-an-idle-connection-counted",
        "the 408 with which a server gives up an idle connection is the answer to the request that crosses it",
        "reaper/api/http/pool.py",
        "        return exchange.status == 408 and not pooled.is_multiplexed\n",
        "        return False\n",
        fails="tests/integration/test_unasked_answers.py::"
        "test_the_408_of_a_server_that_gave_up_an_idle_connection_crosses_a_request[asyncio-0.2-204-plain]",
    ),
    bug(
        "refusals-counted-while-others-are-served",
        "a request fails, charged, after the third refusal of an HTTP/2 server that serves one of each connection",
        "reaper/api/http/pool.py",
        "refused = refused + 1 if answers == self._answers else 1\n",
        "refused += 1\n",
        fails="tests/integration/test_h2_faults.py::test_a_peer_that_serves_one_request_of_each_connection[asyncio]",
    ),
    bug(
        "late-refusal-of-tls-charged",
        "a server that wants a certificate of the client costs attempts: with TLS 1.3 it says so after the request",
        "reaper/api/faults.py",
        "    written = exchange.written and not (exchange.again == 0 and _is_refused_late(error))\n",
        "    written = exchange.written\n",
        fails="tests/integration/test_tls_reasons.py::"
        "test_a_refusal_behind_the_handshake_means_that_the_request_was_not_read[asyncio-0-False]",
    ),
    bug(
        "connection-kept-for-ever",
        "a connection is used as long as it works: a host that moved is never found",
        "reaper/api/http/openings.py",
        "        expires_at = asyncio.get_running_loop().time() + age_s\n",
        '        expires_at = asyncio.get_running_loop().time() + age_s + float("inf")\n',
        fails=(
            "tests/integration/test_connection_age.py::test_http_1_connections_are_closed_between_requests[asyncio]",
            "tests/integration/test_connection_age.py::test_an_http_2_connection_is_replaced_before_it_ends[asyncio]",
        ),
    ),
    bug(
        "decompressed-without-bound",
        "a compressed body is decoded whole, however large it becomes",
        "reaper/api/http/coding.py",
        "            part = stream.decompress(piece, _STEP_BYTES)\n",
        "            part = stream.decompress(piece)\n",
        fails="tests/unit/test_coding.py::test_a_bomb_costs_no_more_than_the_bound",
    ),
    bug(
        "former-client-used",
        "a check that began before a reload goes to the former address with the present token",
        "reaper/api/client.py",
        "        if self._retired and may_start is not None:\n",
        "        if False:\n",
        "            may_start=may_start and (lambda: not self._retired and may_start()),\n",
        "            may_start=may_start,\n",
        fails="tests/integration/test_client_retired.py::"
        "test_nothing_new_goes_to_the_address_of_before_a_reload[False]",
    ),
)
