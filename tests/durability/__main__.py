"""Many rounds of `kill -9` under load: `python -m tests.durability --rounds 20`.

Two scenarios, one after the other. `ledger`: PostgreSQL, clients in the same process as the group
commit, or both are killed. `engine`: deals over HTTP, while the API, the worker and PostgreSQL are
killed. In the end the clients' own logs of acknowledged commands are compared with the books.
Exit 0: they agree; 1: they do not.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.durability.crashes import crash
from tests.durability.rounds import play


def main() -> int:
    """Run the rounds and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", choices=("both", "ledger", "engine"), default="both")
    parser.add_argument("--keep", action="store_true", help="leave data and logs there")
    options = parser.parse_args()
    complaints: list[str] = []
    for scenario, run in (("ledger", _ledger), ("engine", _engine)):
        if options.scenario not in {"both", scenario}:
            continue
        directory = Path(tempfile.mkdtemp(prefix="hfd"))
        directory.chmod(0o755)
        complaints += run(directory, options.rounds, options.seed)
        if options.keep:
            _tell(f"{scenario}: all logs are in {directory}")
        else:
            shutil.rmtree(directory)
    for complaint in complaints:
        _tell(complaint)
    return 1 if complaints else 0


def _ledger(directory: Path, rounds: int, seed: int) -> tuple[str, ...]:
    report = crash(directory, rounds=rounds, seed=seed, tell=_tell)
    _tell(
        f"ledger: {rounds} rounds, killed: {report.kills}; {report.sent} commands sent,"
        f" {report.acknowledged} acknowledged, {report.events} in the books,"
        f" {len(report.complaints)} complaints"
    )
    return report.complaints


def _engine(directory: Path, rounds: int, seed: int) -> tuple[str, ...]:
    played = play(directory, rounds=rounds, seed=seed, tell=_tell)
    kinds = ("slot.funded", "slot.released", "payout.paid")
    done = ", ".join(f"{kind} {played.audit.done[kind]}" for kind in kinds)
    _tell(
        f"engine: {rounds} rounds, killed: {dict(played.kills)}; {played.sent} commands sent,"
        f" {played.acknowledged} acknowledged, {played.retries} retries,"
        f" {played.told_again} told again,"
        f" {played.audit.events} events in the books ({done}),"
        f" {len(played.complaints)} complaints"
    )
    return played.complaints


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
