"""100,000 entries of a replay, exported and recounted: `python -m tests.exports --entries 100000`.

A database of its own is made, a month of made-up postings is replayed from the seed, all formats
are written, and hledger, beancount and DuckDB check and sum them. Exit 0: all of them agree to the
cent; 1: one does not; 2: one of the programs cannot be had here.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kernel.database import connect
from kernel.embedded import EmbeddedServer
from tests.exports import recount as counting
from tests.exports.recount import Recount
from tests.exports.tools import NotToBeHad, beancount, hledger
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir


def main() -> int:
    """Replay, export, recount, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.exports", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the files there")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hfx"))
    try:
        programs = hledger(), beancount(folder / "venv")
        recount = _export(folder, entries=options.entries, seed=options.seed)
    except NotToBeHad as reason:
        _tell(f"could not tell: {reason}")
        return 2
    counting.count_by_hledger(recount, programs[0], folder)
    counting.count_by_beancount(recount, programs[1], folder)
    counting.count_by_duckdb(recount, folder)
    counting.compare(recount)
    _report(recount)
    if options.keep:
        _tell(f"all files are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if recount.complaints else 0


def _export(folder: Path, *, entries: int, seed: int) -> Recount:
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
    ):
        engine = connect(database.app_url)
        started = time.monotonic()
        _tell(f"replaying for {entries} entries, seed {seed}")
        last = counting.replay(engine, TENANT, entries=entries, seed=seed)
        _tell(f"replayed and sealed in {time.monotonic() - started:.0f} s; exporting")
        before = _peak_mib()
        recount = counting.export(engine, TENANT, folder, last=last)
        engine.dispose()
        _tell(f"peak memory {before} MiB after the replay, {_peak_mib()} MiB after the exports")
        return recount


def _report(recount: Recount) -> None:
    _tell(f"{recount.entries} entries, {recount.lines} lines")
    for step, (clock_s, cpu_s) in recount.seconds.items():
        _tell(f"  {step:<16} {clock_s:>7.1f} s, of CPU {cpu_s:>6.1f} s (without the database)")
    _tell(f"  {'journal':<16} {recount.totals}")
    for name, found in recount.found.items():
        _tell(f"  {name:<16} {'the same totals' if found == recount.totals else found}")
    for complaint in recount.complaints:
        _tell(complaint)


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
