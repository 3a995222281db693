"""Bugs of the console: pages that show too much, and acts of those who may not."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

ACCESS = "tests/integration/test_acts_access.py"
ACTS = "tests/integration/test_acts.py"
PAGES = "tests/integration/test_console.py"
LISTENER = "tests/integration/test_http_server.py"
TOKENS = "tests/unit/test_admin_tokens.py"

CONSOLE: tuple[Bug, ...] = (
    bug(
        "console-act-by-get",
        "an act is carried out by a GET, as any link or image can send one",
        "reaper/telemetry/http/router.py",
        '        if route.method == "GET":\n',
        "        if True:\n",
        fails=f"{ACCESS}::test_no_act_by_get_and_no_token_in_an_address",
    ),
    bug(
        "console-cookie",
        "a token in a cookie counts, which the browser sends along with the requests of any site",
        "reaper/app/console/acts.py",
        'request.headers.get("authorization"))\n        except',
        'request.headers.get("authorization") or "Bearer " + request.headers.get("cookie", "=;")[6:].split(";")[0])\n'
        "        except",
        fails=f"{ACCESS}::test_a_stranger_changes_nothing[401-None-headers3]",
    ),
    bug(
        "console-any-origin",
        "a page of another origin can act",
        "reaper/telemetry/http/request.py",
        '    return (origin is None or origin.lower() in own) and site in (None, "same-origin")',
        "    return True",
        fails=f"{LISTENER}::test_only_this_page_and_programs_act",
    ),
    bug(
        "console-any-host",
        "an act is carried out under the name of another site (DNS rebinding)",
        "reaper/telemetry/http/router.py",
        "    if not is_ours(request.host, listen_host):\n        return text(421, _MISDIRECTED)\n    if not",
        "    if not",
        fails=f"{ACCESS}::test_a_stranger_changes_nothing[421-correct-horse-battery-staple-headers6]",
    ),
    bug(
        "console-form-acts",
        "an act need not be JSON: a form of another site can send it without asking first",
        "reaper/telemetry/http/router.py",
        '.strip().lower() != "application/json":',
        '.strip().lower() == "":',
        fails=f"{LISTENER}::test_only_this_page_and_programs_act",
    ),
    bug(
        "console-count-ignored",
        "an act touches whatever fits by then, not what its person saw",
        "reaper/app/console/acts.py",
        "    if not terms.dry_run and terms.count != count and",
        "    if False and",
        fails=f"{ACTS}::test_an_act_over_twenty_carries_the_number_that_it_touches",
    ),
    bug(
        "console-token-prefix",
        "the beginning of a token is enough",
        "reaper/app/console/tokens.py",
        "    return sha256(token.encode()).digest()",
        "    return sha256(token[:16].encode()).digest()",
        fails=f"{TOKENS}::test_the_whole_token_in_the_header_names_the_person",
    ),
    bug(
        "console-guesses-for-ever",
        "tokens can be guessed without a limit",
        "reaper/app/console/tokens.py",
        "        self._failures.append(now)\n",
        "",
        fails=f"{TOKENS}::test_five_wrong_tokens_in_a_minute_and_no_token_is_looked_at",
    ),
    bug(
        "console-file-for-all",
        "a file of tokens that others may read is taken",
        "reaper/app/console/tokens.py",
        "    if mode & (stat.S_IRWXG | stat.S_IRWXO):",
        "    if mode & stat.S_IWOTH:",
        fails=f"{TOKENS}::test_a_file_that_others_may_use_is_refused_with_the_command_that_helps",
    ),
    bug(
        "console-ids-for-all",
        "session IDs are shown without telemetry.page_ids",
        "reaper/app/console/routes.py",
        "        if settings.page_ids:\n            found |=",
        "        if True:\n            found |=",
        fails=f"{PAGES}::test_without_page_ids_there_is_no_id_anywhere",
    ),
    bug(
        "console-markup",
        "a text from the API becomes markup on a page with session IDs",
        "reaper/telemetry/page/markup.py",
        "else escape(clean(redacted(child)))",
        "else clean(redacted(child))",
        fails=f"{PAGES}::test_no_text_becomes_markup",
    ),
    bug(
        "console-no-record",
        "an act is carried out although it could not be written down who gave it",
        "reaper/app/console/acts.py",
        "            await self._record(order, person, terms, count, what)\n"
        '            return {"act": order.name, "by": person, **await order.carry_out(self._queue, terms, person)}',
        "            done = await order.carry_out(self._queue, terms, person)\n"
        "            await self._record(order, person, terms, count, what)\n"
        '            return {"act": order.name, "by": person, **done}',
        fails=f"{ACCESS}::test_trouble_is_said_without_a_secret",
    ),
    bug(
        "listener-long-length",
        "the beginning of a Content-Length is compared with the bound, and zeros hide what follows",
        "reaper/telemetry/http/server.py",
        "    if len(digits) > MAX_LENGTH_DIGITS or (size := int(digits)) > MAX_BODY_BYTES:",
        "    size = int(digits[-4_000:])\n    if int(length[:20]) > MAX_BODY_BYTES:",
        fails=f"{LISTENER}::test_only_this_page_and_programs_act",
    ),
    bug(
        "listener-fault-ends-the-work",
        "a fault while a request is read ends the listener, and the daemon with it",
        "reaper/telemetry/http/server.py",
        "        except Exception as error:  # noqa: BLE001\n            if may_log():",
        "        except ZeroDivisionError as error:\n            if may_log():",
        fails=f"{LISTENER}::test_no_fault_of_a_connection_ends_the_listener_and_it_is_logged_once",
    ),
    bug(
        "listener-pending-error-ends-the-work",
        "an error of one connection that accept() reports ends the daemon",
        "reaper/telemetry/http/server.py",
        "            if error.errno in _LISTENER_BROKEN:",
        "            if error.errno != errno.EMFILE:",
        fails=f"{LISTENER}::test_a_connection_that_could_not_be_taken_ends_nothing_and_is_logged_once",
    ),
)
