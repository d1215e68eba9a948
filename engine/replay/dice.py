"""Seeded chance: each draw has a name, so a new draw never changes what the others say.

Pure. The same seed, subject and name give the same answer in every run and on every machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final, TypeVar
from uuid import UUID

Choice = TypeVar("Choice")

_RANGE: Final = 2**64


@dataclass(frozen=True, slots=True)
class Dice:
    """All chance of one subject, such as one contract."""

    seed: int
    subject: str

    def happens(self, name: str, share_bps: int) -> bool:
        """True in `share_bps` of 10,000 subjects."""
        return self.below(name, 10_000) < share_bps

    def below(self, name: str, ceiling: int) -> int:
        """A whole number from 0 to `ceiling` - 1, each as likely as the next."""
        return self._draw(name) * ceiling // _RANGE

    def between(self, name: str, *, lowest: int, highest: int) -> int:
        """A whole number from `lowest` to `highest`, both included."""
        return lowest + self.below(name, highest - lowest + 1)

    def pick(self, name: str, choices: Sequence[Choice]) -> Choice:
        """One of the choices, each as likely as the next."""
        return choices[self.below(name, len(choices))]

    def weigh(self, name: str, weights: Mapping[Choice, int]) -> Choice:
        """One of the keys, as likely as its weight says."""
        left = self.below(name, sum(weights.values()))
        for choice, weight in weights.items():
            left -= weight
            if left < 0:
                return choice
        raise AssertionError(weights)

    def new_id(self, name: str, at: datetime) -> UUID:
        """An identifier of version 7: the time it is for, and chance that the seed decides."""
        milliseconds = int(at.timestamp()) * 1_000
        value = (milliseconds << 80) | int.from_bytes(self._digest(name, 10))
        value = (value & ~(0xF << 76)) | (0x7 << 76)
        value = (value & ~(0x3 << 62)) | (0x2 << 62)
        return UUID(int=value)

    def _draw(self, name: str) -> int:
        return int.from_bytes(self._digest(name, 8))

    def _digest(self, name: str, size: int) -> bytes:
        words = f"{self.seed}|{self.subject}|{name}"
        return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=size).digest()
