"""Which rails serve a tenant: what the environment has keys for, else the simulated one."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy import Engine

from kernel import clock
from kernel.database import Tenant, transaction
from rails import service
from rails.bank.service import make as make_bank
from rails.capabilities import SIMULATED
from rails.mpesa.service import MpesaRail
from rails.mpesa.settings import MpesaSettings
from rails.paypal.service import PaypalRail
from rails.paypal.settings import PaypalSettings
from rails.port import Rail
from rails.simulated.service import SimulatedRail
from rails.stripe.model import settings_of
from rails.stripe.service import StripeRail

_log = structlog.get_logger(__name__)

Maker = Callable[[Engine, Mapping[str, str], Tenant], Rail | None]
"""Makes a tenant's account at a rail, or None where the environment has no key for it."""


def of_tenant(environment: Mapping[str, str], tenant: Tenant) -> dict[str, str]:
    """The environment as a tenant sees it: a name with `__<TENANT>` goes before the name alone."""
    mark = f"__{tenant.name.upper()}"
    marked = [name for name in environment if name.endswith(mark)]
    own = {name.removesuffix(mark): environment[name] for name in marked}
    return {**environment, **own}


def _stripe(engine: Engine, environment: Mapping[str, str], tenant: Tenant) -> Rail | None:
    settings = settings_of(of_tenant(environment, tenant), tenant.name)
    if settings is None or not may_serve(engine, tenant, "stripe", is_live=settings.is_live):
        return None
    return StripeRail(settings)


def _paypal(engine: Engine, environment: Mapping[str, str], tenant: Tenant) -> Rail | None:
    settings = PaypalSettings.from_environment(environment, tenant)
    if settings is None or not may_serve(engine, tenant, "paypal", is_live=settings.is_live):
        return None
    return PaypalRail(settings)


def _mpesa(engine: Engine, environment: Mapping[str, str], tenant: Tenant) -> Rail | None:
    settings = MpesaSettings.from_environment(environment, tenant)
    if settings is None or not may_serve(engine, tenant, "mpesa", is_live=settings.is_live):
        return None
    return MpesaRail(settings)


def may_serve(engine: Engine, tenant: Tenant, rail: str, *, is_live: bool) -> bool:
    """Whether a key may move money for a tenant: a live one never does in a sandbox's time."""
    if not is_live:
        return True
    with transaction(engine, tenant) as connection:
        mode = clock.get_mode(connection)
    if mode is clock.Mode.SANDBOX:
        _log.error("rail.live_key_in_a_sandbox", rail=rail, tenant=tenant.name)
    return mode is not clock.Mode.SANDBOX


MAKERS: Final[Mapping[str, Maker]] = MappingProxyType(
    {"stripe": _stripe, "paypal": _paypal, "mpesa": _mpesa}
)
"""By name, in the order in which the first that serves a tenant is where its clients pay."""


@dataclass(frozen=True, slots=True)
class RailHouse:
    """The rails of every tenant. Each is made once and kept, with its connections."""

    engine: Engine
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    made: dict[str, dict[str, Rail]] = field(default_factory=dict, repr=False)
    had: dict[str, str] = field(default_factory=dict, repr=False)

    def of(self, tenant: Tenant) -> Mapping[str, Rail]:
        """By name; the simulated rail is always there, for what was paid by it."""
        if tenant.name not in self.made:
            found: dict[str, Rail] = {}
            for name, make in MAKERS.items():
                rail = make(self.engine, self.environment, tenant)
                if rail is not None:
                    found[name] = rail
            found[SIMULATED.rail_account] = SimulatedRail(self.engine, tenant.name)
            # Behind the simulated one, so that it is never where clients pay.
            files = make_bank(self.engine, of_tenant(self.environment, tenant), tenant)
            if files is not None:
                found[files.name] = files
            self.made[tenant.name] = found
        return self.made[tenant.name]

    def every(self, tenant: Tenant) -> Sequence[Rail]:
        """All of a tenant's rails, the one where clients pay first."""
        return list(self.of(tenant).values())

    def find(self, tenant: Tenant, name: str) -> Rail | None:
        """A tenant's rail by name."""
        return self.of(tenant).get(name)

    def default(self, tenant: Tenant) -> str:
        """Where a tenant's clients pay if a call does not say.

        A tenant whose payments were real never falls back to play money: without its key they are
        written down for the rail that it had, and wait for it.
        """
        serving = next(iter(self.of(tenant)))
        if serving != SIMULATED.rail_account:
            return serving
        if tenant.name not in self.had:
            with transaction(self.engine, tenant) as connection:
                asked = set(service.list_rails(connection))
            self.had[tenant.name] = next((name for name in MAKERS if name in asked), serving)
        return self.had[tenant.name]

    def bank(self, tenant: Tenant) -> str:
        """Which rail moves money between our banks."""
        return bank_of(self.every(tenant))


def bank_of(rails: Sequence[Rail]) -> str:
    """Which of some rails moves money between our banks: bank files where payments are real."""
    names = [rail.name for rail in rails]
    return "bank" if "bank" in names else SIMULATED.rail_account
