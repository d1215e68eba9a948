"""What no file of the repository may hold, and what the lock files promise."""

import re
import tomllib
from pathlib import Path
from typing import Final

from tests.fixtures.sources import ROOT, all_files

# Written in two halves, so that this file does not find itself.
_MACHINE_PATHS: Final = re.compile(r"/(?:ro{2}t|wo{1}rk|ho{1}me|Us{1}ers)/[A-Za-z_.]")
_INDEX_HOSTS: Final = re.compile(
    r"py{1}pi\.org|python{1}hosted\.org|(?:--|_)index-ur{1}l[= ]|artifact{1}ory", re.IGNORECASE
)
_BINARY: Final = frozenset(
    {".png", ".ico", ".woff2", ".gz", ".zip", ".parquet", ".jpg", ".pdf", ".webp"}
)


def test_lock_files_hold_no_address() -> None:
    """The lock works with whatever package index its user has: no URL, but a hash for each."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")

        assert "://" not in text
        assert text.count("--hash=sha256:") >= text.count("==")


def test_every_dependency_is_locked() -> None:
    """What pyproject.toml asks for stands in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = [re.split(r"[\[<>=; ]", item)[0].lower() for item in wanted]

    assert [name for name in names if not re.search(rf"^{name}==", locked, re.MULTILINE)] == []


def test_no_file_names_a_machine_of_ours() -> None:
    """Neither a path of somebody's machine nor the host of a package index stands in any file."""
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in _texts()
        for pattern in (_MACHINE_PATHS, _INDEX_HOSTS)
        for match in pattern.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]

    assert not found, "\n".join(["", *found])


def test_no_page_has_a_broken_link() -> None:
    """Every relative link of README and docs leads to a file."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in all_files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert not broken, "\n".join(["", *broken])


def _texts() -> list[Path]:
    return [file for file in all_files() if file.suffix not in _BINARY]
