"""Who a PID file means: whether the server that wrote it is the process that has its number now.

A PID alone proves nothing: numbers are used again, above all when a container restarts, and a
process that nobody reaped keeps its number after death. PostgreSQL looks at the number only and
would refuse to start; so a file whose server is gone is found out here.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Between the kernel's start of the process and the time that PostgreSQL writes down; generous,
# because a clock may be set in between.
_CLOCK_SLACK_S: Final = 10
_PID_FILE: Final = "postmaster.pid"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What the PID file of a cluster says. `started_at` is in whole Unix seconds."""

    cluster: Path
    pid: int
    started_at: int
    is_ready: bool

    def is_alive(self) -> bool:
        """Whether the process with this number is a PostgreSQL server of this very cluster."""
        facts = _linux_process(self.pid) if sys.platform == "linux" else _other_process(self.pid)
        if facts is None:
            return False
        command, started_at = facts
        return str(self.cluster) in command and abs(started_at - self.started_at) <= _CLOCK_SLACK_S


def read_postmaster(cluster: Path) -> Postmaster | None:
    """What the PID file says; None where there is none, or only a torn one."""
    try:
        lines = (cluster / _PID_FILE).read_text(encoding="utf-8").splitlines()
        is_ready = len(lines) > 7 and lines[7].strip() == "ready"
        return Postmaster(cluster, int(lines[0]), int(lines[2]), is_ready)
    except (FileNotFoundError, IndexError, ValueError):
        return None


def forget_postmaster(cluster: Path) -> None:
    """Remove the PID file of a server that is proved to be gone.

    This takes no safety away: PostgreSQL also finds processes of a dead server by the shared
    memory that belongs to the directory's inode, and waits for them.
    """
    (cluster / _PID_FILE).unlink(missing_ok=True)


def end_orphans(cluster: Path) -> None:
    """Kill what a dead server left working on the cluster, so that a new one may start.

    A busy process notices only at its next pause that its server is gone; until then PostgreSQL
    rightly refuses to start. Its work is lost in any case: nobody is left to commit it. Where
    there is no /proc to look in, the caller can only wait.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            works_there = (folder / "cwd").readlink() == cluster
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is another user's
        if works_there and title.startswith(b"postgres: "):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)


def _linux_process(pid: int) -> tuple[str, float] | None:
    """Command line and start of a live process, in Unix seconds."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        uptime_s = _decimal(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name in brackets may hold anything, so count from its end: state is field 3, start 22.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    age_s = uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return command.decode(errors="replace"), time.time() - age_s


def _decimal(text: str) -> float:
    whole, _, hundredths = text.partition(".")
    return int(whole) + int(hundredths or "0") / 100


def _other_process(pid: int) -> tuple[str, float] | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=,command=", "-p", str(pid)],  # noqa: S607  where ps is differs
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    words = answer.stdout.split(maxsplit=6)
    if len(words) < 7 or words[0].startswith("Z"):
        return None
    started_at = time.mktime(time.strptime(" ".join(words[1:6]), "%a %b %d %H:%M:%S %Y"))
    return words[6], started_at
