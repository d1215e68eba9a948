"""The words of what statements, matches and proposals refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STATEMENTS: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "statement.unreadable": (
            422,
            "The statement cannot be read",
            "Line {line}: {reason}. Nothing of the file was kept.",
        ),
    }
)
"""By code."""
