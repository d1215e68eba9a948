"""`python -m tests.scenarios`: play the stories at the double, or in a sandbox of Stripe's.

With STRIPE_TEST_KEY set (and STRIPE_COUNTRY, the platform's country) the stories are played at
Stripe itself, in real time; without it at the double. Exit 0: each came true and the books are
proven; 1: not.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kernel import clock
from kernel.database import connect, transaction
from kernel.embedded import EmbeddedServer
from rails.stripe.model import StripeSettings
from tests.doubles.stripe_double.double import StripeDouble
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.scenarios.doubled import Doubled
from tests.scenarios.sandbox import Sandbox
from tests.scenarios.story import STORIES, play
from tests.scenarios.world import Backend, World, differences

TELL: Final[Callable[[str], None]] = print
"""A story tells its steps as they come true."""


def main() -> int:
    """Play each story in a tenant of its own; what came of it, line by line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("stories", nargs="*", type=Path, help="files; all of them if left out")
    given = parser.parse_args()
    failed = 0
    with EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server:
        for path in given.stories or sorted(STORIES.glob("*.toml")):
            TELL(path.stem)
            with cloned_database(server) as database, _backend() as (backend, at):
                engine = connect(database.app_url)
                with transaction(engine, TENANT) as connection:
                    clock.make_sandbox(connection, at=at)
                failed += not _play(World(engine, TENANT, backend), path)
                engine.dispose()
    return 1 if failed else 0


def _play(world: World, path: Path) -> bool:
    before = world.backend.told()
    try:
        play(world, path, TELL)
        world.prove()
    except AssertionError as failure:
        TELL(f"     not so: {failure}")
        return False
    moved = {key: minor - before.get(key, 0) for key, minor in world.backend.told().items()}
    wrong = differences(world.booked(), {key: minor for key, minor in moved.items() if minor})
    for (account, place, currency), (booked, told) in wrong.items():
        TELL(f"     {account} {place.value} {currency}: {booked} in the books, {told} there")
    return not wrong


@contextmanager
def _backend() -> Iterator[tuple[Backend, datetime]]:
    key = os.environ.get("STRIPE_TEST_KEY", "")
    if key:
        country = os.environ.get("STRIPE_COUNTRY", "DE")
        tenant = f"story_{datetime.now(UTC):%Y%m%d%H%M%S}"
        settings = StripeSettings(api_key=key, country=country, tenant=tenant)
        yield Sandbox(settings, TELL), datetime.now(UTC)
        return
    with StripeDouble() as double:
        yield Doubled(double, tenant=TENANT.name), double.clock.now


if __name__ == "__main__":
    sys.exit(main())
