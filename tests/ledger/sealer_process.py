"""A sealer in a process of its own, to be killed: rounds of one batch until nothing waits."""

import sys

from kernel.database import connect
from tests.fixtures.databases import TENANT
from tests.ledger.sealing import seal_now


def main() -> None:
    engine = connect(sys.argv[1])
    while True:
        seal_now(engine, TENANT, limit=1)


if __name__ == "__main__":
    main()
