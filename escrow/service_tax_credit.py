"""The tax on commissions that goes back where a payee proves that his number was valid before.

No document and no line is rewritten: the fee is taken back with its tax and earned anew without,
and the invoicer makes a credit note and a new invoice of that (edge case 44).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from escrow import store_contest, store_dispute, store_price
from escrow.model_price import FeeLine
from escrow.rules_tax_credit import Credit, CreditTax, credits_of
from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.money import to_json
from ledger import parties
from ledger.model import Draft
from ledger.service import post
from tax.refusals import NothingToCredit, TaxOperatorOnly
from tax.service_vat import proved_for


def credit_tax(
    connection: Connection, commands: Sequence[CreditTax], *, at: datetime
) -> list[Outcome]:
    """Give back the tax that a proof would have spared, from the day it reaches back to.

    By an operator, after a check with `valid_since` was stored. Doing it again finds nothing more
    but what a running dispute kept waiting.
    Refuses: `tax.operator_only`, `party.unknown`, `tax.not_proved`, `tax.nothing_to_credit`.
    """
    known = parties.lock_share(connection, {command.party_id for command in commands})
    outcomes = []
    for command in commands:
        try:
            if not command.actor.is_operator:
                raise TaxOperatorOnly
            if command.party_id not in known:
                raise parties.UnknownParty(party_id=str(command.party_id))
            outcomes.append(_credit(connection, command, at))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
    return outcomes


def _credit(connection: Connection, command: CreditTax, at: datetime) -> Outcome:
    party_id = command.party_id
    proof, decision = proved_for(connection, party_id, at)
    found = _locked(connection, party_id, proof.valid_since, proof.checked_at)
    made = credits_of(found, decision)
    if not made:
        raise NothingToCredit(party_id=str(party_id))
    facts = {
        "party_id": str(party_id),
        "check_id": str(proof.check_id),
        "valid_since": proof.valid_since.isoformat(),
        "fees": len(made),
        "credited": _totals(made),
    }
    entries = tuple(entry for each in made for entry in each.entries())
    subject = f"party:{party_id}"
    draft = Draft(
        "tax.credited", subject, command.actor, at, entries, reason=command.reason, detail=facts
    )
    (posted,) = post(connection, [draft])
    if isinstance(posted, Refusal):
        raise posted
    lines = [line for each in made for line in each]
    store_price.add_lines(
        connection, [(line, posted.event_id, posted.recorded_at) for line in lines]
    )
    return done(event_id=str(posted.event_id), **facts)


def _locked(
    connection: Connection, party_id: UUID, since: datetime, until: datetime
) -> list[FeeLine]:
    """All lines of releases whose fees were taxed in that time, once their pairs are locked."""
    taxed = store_price.list_taxed(connection, party_id, since=since, until=until)
    pairs = {(each.client_id, each.payee_id, each.currency) for each in taxed}
    store_price.lock_pairs(connection, pairs)
    # What a lock protects is read after it: somebody may have given a fee back meanwhile.
    lines = store_price.list_lines(
        connection, release_ids=sorted({each.release_id for each in taxed})
    )
    waits = _disputed(connection, {line.slot_id for line in lines if line.slot_id is not None})
    return [line for line in lines if line.party_id == party_id and line.slot_id not in waits]


def _disputed(connection: Connection, slot_ids: Collection[UUID]) -> set[UUID]:
    """The slots with a running dispute: what it set aside counts on the tax as it was."""
    open_ids = store_contest.find_open_disputes(connection, sorted(slot_ids))
    return {each.slot_id for each in store_dispute.find_disputes(connection, open_ids)}


def _totals(made: Sequence[Credit]) -> list[dict[str, str]]:
    by_currency: dict[str, int] = {}
    for each in made:
        currency = each.back.currency
        by_currency[currency] = by_currency.get(currency, 0) + each.tax_minor
    return [to_json(tax_minor, currency) for currency, tax_minor in sorted(by_currency.items())]
