"""Runs plans that come as lines on stdin, each in a fork of its own, and answers each with a line of its result.

`python -m tests.support.simulation.one`. To import reaper takes longer than half an hour of a simulation: it is done
once, before the forks. Each begins with the same memory, so that no plan sees what another one left.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback

from tests.support.simulation import virtual_time


def main() -> None:
    """Answer plans until stdin ends."""
    virtual_time.install()
    from reaper.core.discovery.listing import ids_alive
    from tests.support.simulation.plan import Plan
    from tests.support.simulation.simulate import simulate
    from tests.support.simulation.simulated import Result

    ids_alive(b'{"sessions": [{"sessionId": "env_1"}]}')  # compiles its patterns
    gc.collect()
    gc.freeze()

    def result_of(plan: Plan, *, with_story: bool) -> Result:
        try:
            virtual_time.seed(plan.seed)
            return simulate(plan, with_story=with_story)
        except Exception:  # noqa: BLE001 - whatever it is, the one who asked is told
            return Result(plan.seed, [f"the simulation itself failed: {traceback.format_exc()[-3000:]}"])

    for line in sys.stdin:
        request = json.loads(line)
        plan, limit_s = Plan.from_raw(request["plan"]), int(request["limit_s"])
        tempfile.tempdir = None
        tempfile.tempdir = folder = tempfile.mkdtemp(prefix="simulation-")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            signal.alarm(limit_s)
            with os.fdopen(writing, "w") as answer:
                answer.write(result_of(plan, with_story=request["story"]).to_json())
            os._exit(0)  # the frames of dead processes must not be cleaned up
        os.close(writing)
        with os.fdopen(reading) as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
        if status:
            code = os.waitstatus_to_exitcode(status)
            late = f"it did not end within {limit_s} s of real time"
            text = Result(
                plan.seed, [late if code == -signal.SIGALRM else f"the simulation itself died with exit code {code}"]
            ).to_json()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
