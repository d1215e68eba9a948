"""A long run against the plain models: `python -m tests.model --steps 20000 --seed 1`."""

import argparse
import sys
import time
from collections import Counter

from kernel.database import connect
from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.model.play import WORLDS, World, play


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="of each world")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", choices=[each.name for each in WORLDS], help="only this one")
    parser.add_argument("--as-found", action="store_true", help="show a failure unshrunk, at once")
    given = parser.parse_args()
    with (
        EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server,
        cloned_database(server) as database,
    ):
        engine = connect(database.app_url)
        for world in WORLDS:
            if given.world in {None, world.name}:
                begun = time.monotonic()
                tally = play(
                    world,
                    engine,
                    TENANT,
                    steps=given.steps,
                    seed=given.seed,
                    shrinks=not given.as_found,
                )
                _tell(world, tally, time.monotonic() - begun)
        engine.dispose()
    return 0


def _tell(world: World, tally: Counter[str], took_s: float) -> None:
    out = sys.stdout.write
    out(f"{world.name}\n")
    out("".join(f"{name:40} {count}\n" for name, count in sorted(tally.items())))
    out(f"{tally['acts']} acts in {took_s:.1f} s, {tally['acts'] / took_s:.0f} a second\n")
    out(f"never done: {', '.join(world.not_done(tally)) or 'nothing'}\n\n")


if __name__ == "__main__":
    sys.exit(main())
