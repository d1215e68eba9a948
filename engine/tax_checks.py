"""Asking a register for a party's tax number: read, ask outside any transaction, store."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine

from kernel import clock
from kernel.commands import Outcome
from kernel.database import Tenant, snapshot, transaction
from kernel.errors import RailTrouble
from kernel.principals import Actor
from tax import service_profile, store_profile
from tax.model_profile import Register, StoreCheck
from tax.refusals import NoNumber, RegisterOff, RegisterSilent


def check_number(
    engine: Engine, tenant: Tenant, party_id: UUID, registers: Sequence[Register], actor: Actor
) -> Outcome:
    """Ask the register that covers a party's number, and store what it says.

    Refuses `tax.no_number`, `tax.register_off`, and `tax.register_silent` where it does not answer:
    then nothing is stored, and the tax is charged until a later check.
    """
    with snapshot(engine, tenant) as connection:
        at = clock.now(connection)
        buyer = store_profile.find_buyers(connection, [party_id], at=at).get(party_id)
        person = service_profile.find_people(connection, [party_id], at=at)[party_id]
    if buyer is None or not person.tax_number:
        raise NoNumber(party_id=str(party_id))
    country, number = buyer.tax_country, person.tax_number
    register = next((each for each in registers if each.covers(country, number)), None)
    if register is None:
        raise RegisterOff(country=country)
    try:
        answer = register.ask(country, number, at=at)
    except RailTrouble as trouble:
        raise RegisterSilent(register=register.name, trouble=str(trouble)) from trouble
    command = StoreCheck(actor=actor, party_id=party_id, answer=answer)
    with transaction(engine, tenant) as connection:
        return service_profile.store_check(connection, [command], at=clock.now(connection))[0]
