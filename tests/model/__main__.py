"""A long run against the plain model: `python -m tests.model --steps 20000 --seed 1`."""

import argparse
import sys
import time

from kernel.database import connect
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.model.play import not_done, play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-found", action="store_true", help="show a failure unshrunk, at once")
    given = parser.parse_args()
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
    ):
        engine = connect(database.app_url)
        begun = time.monotonic()
        tally = play(engine, TENANT, steps=given.steps, seed=given.seed, shrinks=not given.as_found)
        took_s = time.monotonic() - begun
        engine.dispose()
    out = sys.stdout.write
    out("".join(f"{name:40} {count}\n" for name, count in sorted(tally.items())))
    out(f"{tally['acts']} acts in {took_s:.1f} s, {tally['acts'] / took_s:.0f} a second\n")
    out(f"never done: {', '.join(not_done(tally)) or 'nothing'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
