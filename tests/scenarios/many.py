"""`python -m tests.scenarios.many --runs 200 --seed 1`: many runs of chaos, each by its own seed.

Each has books and a Stripe of its own. Exit 0: books and Stripe agree after each; 1: not.
"""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Engine

from kernel import clock
from kernel.database import connect, transaction
from kernel.embedded import EmbeddedServer
from tests.doubles.stripe_double.double import StripeDouble
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.scenarios.chaos import Run
from tests.scenarios.doubled import Doubled
from tests.scenarios.ending import complaints, counts
from tests.scenarios.world import World

TELL: Final[Callable[[str], None]] = print


def main() -> int:
    """Play the runs one after another and say what came of each, and of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.many", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--acts", type=int, default=60, help="of each run, besides the led deals")
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("STRIPE_", "HOLDFAST_"))]:
        del os.environ[name]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    total: Counter[str] = Counter()
    failed: list[int] = []
    with EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server:
        for seed in range(given.seed, given.seed + given.runs):
            began = time.monotonic()
            with cloned_database(server) as database, StripeDouble(seed=seed) as double:
                engine = connect(database.app_url)
                found, wrong = one(engine, double, seed, given.acts)
                engine.dispose()
            total.update(found)
            failed += [seed] if wrong else []
            said = f"{time.monotonic() - began:.0f} s, {len(wrong)} complaints"
            TELL("\n".join([f"seed {seed}: {said}", *(f"     {each}" for each in wrong)]))
            sys.stdout.flush()
    TELL("".join(f"{count:>9,}  {name}\n" for name, count in sorted(total.items())))
    TELL(f"{given.runs - len(failed)} of {given.runs} agree; not so: {failed}")
    return 1 if failed else 0


def one(
    engine: Engine, double: StripeDouble, seed: int, acts: int
) -> tuple[Counter[str], list[str]]:
    """One run: what happened, and what is wrong in the end."""
    with transaction(engine, TENANT) as connection:
        clock.make_sandbox(connection, at=double.clock.now)
    backend = Doubled(double, tenant=TENANT.name)
    run = Run(World(engine, TENANT, backend), backend, seed, acts)
    try:
        run.play()
    finally:
        backend.rail.close()
    return counts(run), complaints(run)


if __name__ == "__main__":
    sys.exit(main())
