"""Many rounds of `kill -9` under load: `python -m tests.durability --rounds 20`.

Each round kills PostgreSQL, a client, or both at a random moment. In the end the clients' own logs
of acknowledged commands are compared with the books. Exit 0: they agree; 1: they do not.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.durability.crashes import crash


def main() -> int:
    """Run the rounds and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hfd") as directory:
        Path(directory).chmod(0o755)
        report = crash(Path(directory), rounds=options.rounds, seed=options.seed)
    sys.stdout.write(
        f"{options.rounds} rounds, killed: {report.kills}; {report.sent} commands sent,"
        f" {report.acknowledged} acknowledged, {report.events} in the books\n"
    )
    sys.stdout.writelines(f"{complaint}\n" for complaint in report.complaints)
    return 1 if report.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
