"""The commands on breaks and certificates. Pure."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCertificate(Command):
    """Make the certificate of a currency and day."""

    currency: str
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SignCertificate(Command):
    """Sign a certificate; one that is not clean with a remark."""

    certificate_id: UUID
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakCommand(Command):
    """What a person says of a break."""

    break_id: UUID
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignBreak(Command):
    """Who looks at a break from now on; None: nobody."""

    break_id: UUID
    owner_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideWriteOff(Command):
    """Approve or reject a write-off that another person proposed."""

    write_off_id: UUID
    is_approved: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHour(Command):
    """At which hour (UTC) the day before is reconciled and certified, from now on."""

    hour: int
