"""What a service takes and gives: commands in, one outcome each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kernel.errors import Refusal
from kernel.principals import Actor

DONE: Final = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every command carries. Each service's commands add their own fields.

    `key` is the caller's idempotency key, unique per principal and kept for ever; None for
    commands that the engine gives itself (a timer's firing is made unique by its row).
    """

    actor: Actor
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command.

    `code` is "done" or the refusal's stable code. `facts` are plain JSON values and are the
    answer: the API sends exactly these bytes, and a repeated key gets them again.
    """

    code: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    replayed: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the command took effect (now, or when its key was first used)."""
        return self.code == DONE


def done(**facts: Any) -> Outcome:  # noqa: ANN401  any JSON value
    """The outcome of a command that took effect."""
    return Outcome(DONE, facts)


def refused(refusal: Refusal) -> Outcome:
    """The outcome of a command that the rules refused."""
    return Outcome(refusal.code, refusal.facts)
