"""Bugs of the commands: what they check, ask, change and say."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

CLI: tuple[Bug, ...] = (
    bug(
        "many-unasked",
        "where there is no terminal, an order over thousands of IDs is carried out without --yes",
        "reaper/cli/question.py",
        "    if yes or count <= MAX_UNASKED:\n",
        "    if yes or count <= MAX_UNASKED or not sys.stdin.isatty():\n",
        fails=(
            "tests/unit/test_question.py::test_without_a_terminal_yes_must_be_said_beforehand[stdin]",
            "tests/integration/test_orders.py::test_many_are_counted_asked_about_and_then_changed[sqlite]",
        ),
    ),
    bug(
        "order-without-brakes",
        "Ctrl-C does not end an order over many IDs: all of them are changed",
        "reaper/cli/commands/bulk.py",
        "                    if signals:\n",
        "                    if signals > 1:\n",
        fails="tests/integration/test_orders.py::"
        "test_a_signal_ends_an_order_between_two_steps_and_it_is_said_how_far_it_came[signals0]",
    ),
    bug(
        "check-without-a-write",
        "`check` begins a transaction and writes nothing in it: a ledger that may only be read is well",
        "reaper/queues/sqlite/probe.py",
        '            connection.execute(f"PRAGMA user_version = {version}")',
        "            pass",
        fails="tests/integration/test_check_and_run.py::test_check_says_what_run_does"
        "[the ledger may not be written by this user]",
    ),
    bug(
        "check-any-listener",
        "`check` takes any reaper at telemetry.listen for one of this queue",
        "reaper/app/check/listener.py",
        "            return owner is not None and owner in {worker.owner for worker in await queue.live_workers()}\n",
        "            return owner is not None\n",
        fails="tests/integration/test_check_and_run.py::test_an_address_that_a_reaper_of_this_queue_holds_is_well",
    ),
    bug(
        "check-probe-stays",
        "`check` makes the tables of PostgreSQL instead of rolling them back",
        "reaper/queues/postgres/probe.py",
        "            raise _RolledBack\n",
        "            pass\n",
        "    except _RolledBack:\n        return risks\n",
        "    except _RolledBack:\n        pass\n    return risks\n",
        fails="tests/integration/test_check.py::test_postgres_has_no_tables_after_a_probe_and_no_rows_more",
    ),
    bug(
        "profiles-share-a-ledger",
        "a profile has a settings file of its own, but the ledger of all: staging and production meet",
        "reaper/settings/state_dir.py",
        '    return (folder / name, f"{rule}, of the profile {name}") if name else (folder, rule)\n',
        "    return folder, rule\n",
        fails="tests/unit/test_config_file.py::test_a_profile_has_a_file_and_a_ledger_of_its_own[flag]",
    ),
    bug(
        "config-init-overwrites",
        "`config init` writes over the settings file that is there",
        "reaper/cli/commands/config_init.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC",
        "os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC",
        fails="tests/unit/test_config_init.py::test_it_writes_where_the_file_is_found_and_never_overwrites",
    ),
    bug(
        "idle-option-accepted",
        "an option before the command that does nothing for it is accepted without a word",
        "reaper/cli/arguments.py",
        '    root.refuse_idle(given, (given["verb"], given.get("action", "")))\n',
        "",
        fails="tests/unit/test_cli_main.py::test_an_option_before_the_command_that_does_nothing_is_refused",
    ),
    bug(
        "known-told-as-new",
        "`once --discover` promises to stop sessions that the queue has settled or holds already",
        "reaper/core/discovery/findings.py",
        "        if session_id in known:\n",
        "        if session_id in ():\n",
        fails="tests/unit/test_findings.py::test_each_rule_tells_new_from_known",
    ),
    bug(
        "demo-of-another-removed",
        "a demo removes the folder of another one that still works",
        "reaper/cli/commands/temporary_folder.py",
        "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        fails="tests/integration/test_temporary_folder.py::test_the_folder_is_private_and_goes_with_the_demo",
    ),
    bug(
        "a-word-before-the-json",
        "a settings file that is refused does not say the form of the log: a sentence stands between JSON lines",
        "reaper/telemetry/log_form.py",
        '    found = section.get("log_format") if isinstance(section, dict) else None\n',
        "    found = None\n",
        fails="tests/unit/test_log_form.py::test_a_settings_file_says_the_form_though_it_is_refused",
    ),
    bug(
        "already-gone-in-silence",
        "a person who runs once learns of no session that was already gone or could not be stopped, but by a count",
        "reaper/telemetry/event_log.py",
        "        if settle.outcome is Outcome.STOPPED and not self.log_each_session:\n",
        "        if not self.log_each_session:\n",
        fails="tests/unit/test_log_form.py::"
        "test_a_person_reads_of_what_was_gone_and_of_dead_letters_and_with_v_of_all[False-expected0]",
    ),
    bug(
        "drawn-in-a-ci",
        "the log of a CI is full of what moves a cursor",
        "reaper/telemetry/terminal.py",
        "    return fit and not is_ci(environ)\n",
        "    return fit\n",
        fails="tests/unit/test_log_form.py::test_nothing_is_drawn_and_nobody_is_asked_in_a_ci",
    ),
    bug(
        "broken-at-the-edge",
        "a sentence on stdout is broken by the terminal, in the middle of a word",
        "reaper/cli/output.py",
        '    _write("\\n".join(wrap_for_terminal(line, sys.stdout, indent) for line in _shown(text).split("\\n")))\n',
        "    _write(_shown(text))\n",
        fails="tests/unit/test_wrap.py::test_all_that_is_printed_on_a_terminal_is_wrapped_but_rows_and_scripts",
    ),
    bug(
        "table-too-wide",
        "on a telephone the last table of a run is broken into single words",
        "reaper/cli/terminal/summary_table.py",
        "if _width(console, one) <= console.width",
        "if _width(console, one)",
        fails="tests/unit/test_progress.py::test_no_cell_of_the_last_table_is_wrapped[40-5]",
    ),
    bug(
        "sweep-429-ignored",
        "a run ignores the 429 that its sweep was answered with",
        "reaper/app/once.py",
        "    if parts.throttled is not None:\n",
        "    if False:\n",
        fails="tests/e2e/test_sweep_throttled.py::test_a_run_that_begins_with_a_sweep_keeps_the_silence",
    ),
)
