"""Who supplies and who buys our service, for the tax: profiles, numbers, and what registers say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from kernel.commands import Command
from tax.model_vat import Evidence, Service, WhenUnsure


@dataclass(frozen=True, slots=True)
class Supplier:
    """The tenant as an invoice names it, from a time on. `tax_numbers` are by country."""

    version: int
    in_force_from: datetime
    country: str
    name: str
    address: str
    tax_numbers: Mapping[str, str]
    service: Service
    when_unsure: WhenUnsure
    check_days: int


@dataclass(frozen=True, slots=True)
class Person:
    """Name, address and tax number of a buyer: personal data, sealed wherever they are stored."""

    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    tax_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSupplier(Command):
    """A new version of the supplier's profile; in force from `in_force_from`, None: from now."""

    country: str
    name: str
    address: str
    tax_numbers: Mapping[str, str]
    service: Service = Service.ELECTRONIC
    when_unsure: WhenUnsure = WhenUnsure.DOMESTIC
    check_days: int = 90
    in_force_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBuyer(Command):
    """What is known of a party that pays our fees: a new version, in force from now."""

    party_id: UUID
    evidence: tuple[Evidence, ...]
    is_business: bool = False
    tax_country: str | None = None
    person: Person = Person()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck(Command):
    """What a register answered about the number that a party has now.

    `valid_since` is set where it was proved that the number was valid before it was checked.
    """

    party_id: UUID
    answer: "RegisterAnswer"


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """A register's answer. `reference` is its own number of the consultation."""

    register: str
    is_valid: bool
    reference: str
    checked_at: datetime
    valid_since: datetime | None = None


class Register(Protocol):
    """A public register of tax numbers."""

    @property
    def name(self) -> str:
        """What it is called in a check."""

    def covers(self, country: str, number: str) -> bool:
        """Whether this number of a country can be asked for."""

    def ask(self, country: str, number: str, *, at: datetime) -> RegisterAnswer:
        """What the register says; RailTrouble if it does not answer. Never in a transaction."""
