"""Which names of zones a term may pin: those that mean the same on every machine."""

from functools import cache
from typing import Final
from zoneinfo import available_timezones

_OF_THIS_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})
"""Names that a machine lists, but that say nothing, or on each machine something else."""


def is_zone(name: str) -> bool:
    """Whether it is an IANA name; not one of leap seconds (`right/`) or of this machine alone."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    """The names that this machine knows; finding them reads a thousand files."""
    return frozenset(available_timezones() - _OF_THIS_MACHINE)
