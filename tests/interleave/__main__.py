"""Explores all pairs: `python -m tests.interleave --all`, or `--sample 30 --seed 7 --only release`.

`--all`: every schedule with one switch; with `--switches 2` every schedule with two as well, which
takes hours. Exit 1 if a schedule was found wanting.
"""

import argparse
import sys
import time

from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.interleave.explore import open_lab
from tests.interleave.pairs import PAIRS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every schedule, not a sample")
    parser.add_argument("--switches", type=int, choices=(1, 2), default=1, help="with --all")
    parser.add_argument("--sample", type=int, default=12, help="schedules of each pair")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--only", default="", help="pairs whose name holds this")
    given = parser.parse_args()
    how = ("one", "two")[given.switches - 1] if given.all else "sample"
    pairs = [pair for pair in PAIRS if given.only in pair.name]
    out = sys.stdout.write
    bad = total = 0
    begun = time.monotonic()
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
        open_lab(database, TENANT) as lab,
    ):
        for number, pair in enumerate(pairs, 1):
            with lab.set_up(pair) as setting:
                schedules = setting.schedules(how, given.sample, given.seed)
                findings = setting.explore(schedules)
            total += len(schedules)
            bad += len(findings)
            took_s = time.monotonic() - begun
            verdict = f"{len(findings)} FOUND" if findings else "ok"
            out(f"{number}/{len(pairs)} {pair.name}: {len(schedules)} {verdict}, {took_s:.0f} s\n")
            out("".join(f"  {each.schedule}: {each.what[:4000]}\n" for each in findings[:3]))
            sys.stdout.flush()
    out(f"{total} schedules of {len(pairs)} pairs, {bad} found wanting\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
