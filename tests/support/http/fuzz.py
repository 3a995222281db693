"""What both fuzzers do: make an input, see whether it breaks a rule, keep it then, else count what became of it."""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes, the pieces they come in, and `play`, which returns the rule that they break and what became of them."""

    data: bytes
    parts: list[bytes]
    play: Callable[[], tuple[str | None, Sequence[str]]]


def main(
    arguments: Sequence[str] | None,
    description: str,
    corpus: Path,
    kept_as: str,
    make: Callable[[random.Random, list[bytes], int], Input],
) -> int:
    """Feed the inputs that are asked for; end at the first that breaks a rule, kept under `kept_as`: `h1-{}.http`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("."), metavar="DIR")
    options = parser.parse_args(arguments)
    files = [file.read_bytes() for file in sorted(corpus.iterdir())]
    chance = random.Random(options.seed)
    counts: Counter[str] = Counter()
    begun = time.perf_counter()
    for number in range(options.inputs):
        one = make(chance, files, number)
        try:
            rule, kinds = one.play()
        except Exception:  # noqa: BLE001  # whatever it is, it is the finding
            rule, kinds = traceback.format_exc(), ()
        if rule is not None:
            found = options.keep / kept_as.format(hashlib.sha256(one.data).hexdigest()[:12])
            found.write_bytes(one.data)
            print(f"input {number}, kept in {found}, in pieces of {[len(part) for part in one.parts][:20]}: {rule}")
            return 1
        counts.update(kinds)
    spent = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{options.inputs} inputs from {len(files)} files, seed {options.seed}: {spent:.0f} s, peak memory {peak} MiB"
    )
    for name, count in counts.most_common():
        print(f"{count:9} {name}")
    return 0
