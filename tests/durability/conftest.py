"""A directory for the scenarios of this folder."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path that every user can enter, as a state directory is."""
    directory = Path(tempfile.mkdtemp(prefix="hfd"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
