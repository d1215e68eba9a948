"""What bank accounts and files of payments can be asked to do."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from kernel.commands import Command
from rails.bank.model import AccountDetails, FileFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAccount(Command):
    """Keep an account's details, sealed; `serves` names a bank of ours, in `currency`."""

    account_id: UUID
    party_id: UUID
    details: AccountDetails = field(repr=False)
    serves: str = ""
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAccount(Command):
    """Let nothing more be ordered to an account."""

    account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFile(Command):
    """Put the orders that wait into a file; `format` None: SEPA for euro, else a list."""

    file_id: UUID
    currency: str
    execute_on: date
    source: str = "custody_bank"
    format: FileFormat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCommand(Command):
    """Release a file to the bank, or withdraw it."""

    file_id: UUID
    reason: str = ""
