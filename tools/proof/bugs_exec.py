"""Bugs of `reaper exec` and of `add --or-postpone`."""

from __future__ import annotations

from tools.proof.planted import Bug, bug

PROCESS = "tests/integration/test_command_process.py"
AROUND = "tests/integration/test_run_command.py"
SWITCH = "tests/unit/test_exec.py"

EXEC: tuple[Bug, ...] = (
    bug(
        "exec-signals-one",
        "a SIGTERM ends the shell that exec runs, and not the tests that the shell runs",
        "reaper/app/command.py",
        "(os.killpg if number in TO_THE_GROUP else os.kill)(self.pid, number)",
        "os.kill(self.pid, number)",
        fails=f"{PROCESS}::test_what_ends_a_job_reaches_its_whole_group",
    ),
    bug(
        "exec-leaves-orphans",
        "a program that went into the background outlives the command of exec, and goes on using its session",
        "reaper/app/command.py",
        "        adopt_orphans()\n",
        "",
        fails=f"{PROCESS}::test_what_it_leaves_behind_is_ended[a session of its own]",
    ),
    bug(
        "exec-ends-strangers",
        "exec ends children that it had before its command, as those of the shell that became reaper",
        "reaper/app/command.py",
        "listed - self._before - {self.pid}",
        "listed - {self.pid}",
        fails=f"{PROCESS}::test_a_child_that_was_there_before_is_let_alone",
    ),
    bug(
        "exec-undoes-nohup",
        "the command of exec gets the SIGHUP that nohup took from it",
        "reaper/app/command.py",
        "                if callable(signal.getsignal(number)):\n",
        "                if number is not None:\n",
        fails=f"{PROCESS}::test_it_has_the_signals_that_were_ignored_and_no_other",
    ),
    bug(
        "exec-makes-a-ledger",
        "while the ledger is away, exec makes a new one in its place: the registered IDs are in neither",
        "reaper/app/exec.py",
        "                async with self.open_queue(False) as queue:\n                    await use(queue)\n",
        "                async with self.open_queue(True) as queue:\n                    await use(queue)\n",
        fails=f"{SWITCH}::test_at_the_end_all_are_due_at_once",
    ),
    bug(
        "exec-ends-with-the-queue",
        "a ledger that is moved for a moment ends exec in the middle of its command",
        "reaper/app/exec.py",
        "                raise QueueUnavailableError(str(error)) from error\n",
        "                raise\n",
        fails=f"{SWITCH}::test_a_queue_that_goes_is_said_once_and_postponed_at_once_when_it_is_back[fail1]",
    ),
    bug(
        "exec-waits-first",
        "the sessions are not due before what the command left behind has ended",
        "reaper/app/exec.py",
        "            group.start_soon(make_due)\n            if processes",
        "            group.start_soon(hurry.wait)\n            if processes",
        fails=f"{AROUND}::test_the_id_waits_before_the_command_starts_and_is_due_when_it_has_ended",
    ),
    bug(
        "postponed-in-flight",
        "add --or-postpone takes the lease from an ID whose DELETE is in flight: it is sent again",
        "reaper/queues/sqlite/intake.sql",
        " AND NOT coalesce(lease_until > :steady, 0)",
        "",
        fails="tests/contract/test_intake.py::test_what_waits_already_may_get_the_new_time[sqlite]",
    ),
)
