"""hledger and beancount, installed where they are wanted: programs beside us, never dependencies.

Both are under the GPL. Nothing of ours imports them; tests start them as programs, and say why they
did not where they cannot be had.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 600

_NOT_FOR_EVER: Final = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20")


class NotToBeHad(Exception):  # noqa: N818  it says what happened
    """A program cannot be installed here; the reason is the message."""


def hledger() -> Path:
    """The hledger of this machine, installed by apt-get where we are root."""
    found = shutil.which("hledger")
    if found is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise NotToBeHad("hledger is not installed, and installing it takes root and apt-get")
        _install("apt-get", *_NOT_FOR_EVER, "update", "-q")
        _install(
            "apt-get", *_NOT_FOR_EVER, "install", "-y", "-q", "--no-install-recommends", "hledger"
        )
        found = shutil.which("hledger")
    if found is None:
        raise NotToBeHad("apt-get installed no hledger")
    return Path(found)


def beancount(folder: Path) -> Path:
    """The programs of beancount, in an environment of their own below `folder`."""
    programs = folder / "bin"
    if not (programs / "bean-check").exists():
        _install(sys.executable, "-m", "venv", str(folder))
        pip = (str(programs / "python"), "-m", "pip", "--disable-pip-version-check")
        _install(*pip, "install", "--quiet", "beancount>=3,<4")
    return programs


def run(*command: str | Path, timeout_s: int = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run a program and give what it said, whatever it said."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )


def _install(*command: str) -> None:
    try:
        done = run(*command)
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{' '.join(command[:3])} took longer than {PATIENCE_S} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotToBeHad(f"{' '.join(command[:3])}: {' '.join(last)}")
