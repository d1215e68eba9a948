"""`python -m tests.ledger.verify_figures`: how long the verifier takes for so many events."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from ledger import verify
from tests.ledger.made_exports import make


@click.command()
@click.option("--events", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1)
def main(events: int, jobs: int) -> None:
    """Make an export of so many events in a folder of its own, and check it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "export"
        click.echo(f"writing {events:,} events ...")
        make(folder, events, per_block=2_000, wallets=20_000)
        size = sum(path.stat().st_size for path in folder.iterdir())
        began = time.monotonic()
        program = [sys.executable, "-I", verify.__file__, str(folder), f"--jobs={jobs}"]
        done = subprocess.run(program, check=False)
        took = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    click.echo(
        f"{events:,} events, {size / 1e6:,.0f} MB, {jobs} processes: {took:.1f} s,"
        f" {used.ru_utime + used.ru_stime:.1f} s of processor time,"
        f" {used.ru_maxrss / 1e3:,.0f} MB at most in one process"
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
