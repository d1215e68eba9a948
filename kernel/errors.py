"""The three roots of every error: the rules say no, our promise failed, the world is slow."""

from collections.abc import Mapping
from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818  a refusal is an answer, not an error
    """The rules say no; nothing was written but the stored answer.

    A subclass names its stable `code`; the facts are plain JSON values that
    `engine.refusals` turns into words and an HTTP status.
    """

    code: ClassVar[str]

    def __init__(self, **facts: Any) -> None:  # noqa: ANN401  any JSON value
        super().__init__(self.code, facts)
        self.facts: Mapping[str, Any] = facts

    def __str__(self) -> str:
        """The code and its facts, for logs and test output."""
        return f"{self.code} {dict(self.facts)}"


class Broken(Exception):  # noqa: N818  our own word for a failed promise
    """Our own promise failed: the transaction is rolled back and someone must look."""

    def __init__(self, what: str, **facts: Any) -> None:  # noqa: ANN401  anything worth logging
        super().__init__(what, facts)
        self.facts: Mapping[str, Any] = facts


class RailTrouble(Exception):  # noqa: N818  the rail's trouble, not ours
    """A rail is slow, unreachable or answered nonsense: try again with the same key."""
