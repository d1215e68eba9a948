"""The race of writers and sealers for as long as you like: `python -m tests.sealing --seconds 60`.

Each round takes a database of its own, sixteen writers that hold transactions open and roll some
back, and two sealers; then every promise of the log is checked.
"""

import argparse
import sys
import time

from kernel.embedded import EmbeddedServer
from tests.fixtures.databases import SERVER_SETTINGS, TENANT, cloned_database, data_dir
from tests.ledger.test_seal import race


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sealing", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    until = time.monotonic() + parser.parse_args().seconds
    rounds = events = 0
    with EmbeddedServer.start(data_dir(), settings=SERVER_SETTINGS) as server:
        while time.monotonic() < until:
            with cloned_database(server) as database:
                events += race(database.app_url, TENANT, seed=rounds)
            rounds += 1
            sys.stdout.write(f"round {rounds}: {events:,} events sealed, none missed or moved\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
