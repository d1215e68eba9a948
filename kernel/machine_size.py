"""PostgreSQL settings that fit the machine: its memory, and the room on its disk."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_MB: Final = 2**20
_CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def durable_settings(data_dir: Path) -> Mapping[str, str]:
    """What the embedded server is started with; everything that keeps a commit safe is on."""
    return {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{shared_buffers_mb(memory_bytes())}MB",
        "max_wal_size": f"{max_wal_mb(shutil.disk_usage(data_dir).free)}MB",
        "max_connections": "200",
        "log_checkpoints": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }


def shared_buffers_mb(memory: int) -> int:
    """A quarter of the memory, 128 MB to 4 GB."""
    return min(max(memory // 4 // _MB, 128), 4_096)


def max_wal_mb(free: int) -> int:
    """A tenth of the free disk, 256 MB to 16 GB."""
    return min(max(free // 10 // _MB, 256), 16_384)


def memory_bytes() -> int:
    """The memory that this process may use: the machine's, or less inside a container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _CGROUP_LIMITS:
        if limit.exists():
            text = limit.read_text(encoding="utf-8").strip()
            if text.isdigit():
                memory = min(memory, int(text))
    return memory
