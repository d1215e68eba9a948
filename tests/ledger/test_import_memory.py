"""Long work streams: its memory does not grow with the books, neither ours nor the server's.

`python -m tests.ledger.flat_memory --lines 10000000` is the same at the size of the goal.
"""

from pathlib import Path
from typing import Final

import pytest

from kernel.embedded import EmbeddedServer
from tests.ledger.flat_memory import Peak, measure

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc"
    ),
]

OURS_KB: Final = 28 * 1024
"""Some thousand events at once; all events of these books would take twice as much."""

SERVER_KB: Final = 48 * 1024
"""A backend with its caches and one sort or hash of work_mem."""


def check_flat(peaks: list[Peak], names: set[str]) -> None:
    assert {peak.what for peak in peaks} == names
    for peak in peaks:
        assert peak.ours_kb < OURS_KB, peak
        assert 0 < peak.server_kb < SERVER_KB, peak


def test_long_work_stays_flat(server: EmbeddedServer, tmp_path: Path) -> None:
    """80,000 lines are exported, proved, rebuilt, checked and posted in pieces."""
    peaks = measure(server, 80_000, tmp_path / "export")

    check_flat(peaks, {"export", "prove", "rebuild", "import"})
