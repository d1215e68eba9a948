"""The parties of a replay, made when a posting first names them, and paid every week."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from engine.replay.acts import OPERATOR
from engine.replay.behaviour import payout_token
from engine.replay.countries import code_of
from engine.replay.deals import (
    PARTIES_SINCE,
    Deal,
    payee_country,
    payee_name,
    wanted_currency,
)
from engine.replay.dice import Dice
from engine.replay.stage import Stage
from engine.replay.store import list_available
from engine.replay.terms import Form
from kernel.database import transaction
from kernel.principals import Actor, PrincipalKind
from ledger import parties
from ledger.model_parties import KycState, PartyKind
from ledger.parties import ChangeParty, CreateParty
from payouts import methods
from payouts import service as payouts
from payouts.commands import AddMethod, RequestPayout, Resume


@dataclass(slots=True)
class Payee:
    """A freelancer who is paid: the weekday on which, in what currency, and the method in use.

    `wants` is the currency that he exchanges what he earned for; None: he keeps what he earned.
    """

    id: UUID
    dice: Dice
    weekday: int
    wants: str | None = None
    method_no: int = 1

    @property
    def method_id(self) -> UUID:
        """The method now in use; a new one comes after one that failed."""
        return self.dice.new_id(f"method{self.method_no}", PARTIES_SINCE)

    @property
    def actor(self) -> Actor:
        """The freelancer, acting for himself."""
        return Actor(self.id, PrincipalKind.PERSON, self.id)


@dataclass(slots=True)
class People:
    """Everybody who is known so far."""

    seed: int
    payees: dict[UUID, Payee] = field(default_factory=dict)
    _known: set[UUID] = field(default_factory=set)

    def welcome(self, stage: Stage, deals: Iterable[Deal]) -> list[CreateParty]:
        """Make the parties of these deals that are not known yet, in three batches at most.

        Who is to be charged week by week is verified at once. Gives who is new.
        """
        fresh: dict[UUID, CreateParty] = {}
        verified: list[UUID] = []
        payees: dict[UUID, Payee] = {}
        for deal in deals:
            if deal.client_id not in self._known and deal.client_id not in fresh:
                fresh[deal.client_id] = CreateParty(
                    actor=OPERATOR,
                    kind=PartyKind.CLIENT,
                    country=code_of(deal.posting.country),
                    reference=deal.posting.client,
                    party_id=deal.client_id,
                )
                if deal.posting.is_verified:
                    verified.append(deal.client_id)
            if deal.form is not Form.MILESTONES and not deal.posting.is_verified:
                verified.append(deal.client_id)
            if deal.payee_id not in self._known and deal.payee_id not in fresh:
                name = payee_name(deal.payee_no)
                fresh[deal.payee_id] = CreateParty(
                    actor=OPERATOR,
                    kind=PartyKind.FREELANCER,
                    country=payee_country(self.seed, payee_no=deal.payee_no),
                    reference=name,
                    party_id=deal.payee_id,
                )
                dice = Dice(self.seed, name)
                payees[deal.payee_id] = Payee(
                    deal.payee_id,
                    dice,
                    dice.below("weekday", 7),
                    wanted_currency(self.seed, payee_no=deal.payee_no),
                )
                verified.append(deal.payee_id)
        stage.serve(parties.create, list(fresh.values()))
        stage.serve(
            parties.change,
            [
                ChangeParty(actor=OPERATOR, party_id=each, kyc_state=KycState.VERIFIED)
                for each in dict.fromkeys(verified)
            ],
        )
        stage.serve(methods.add_methods, [_add_method(payee) for payee in payees.values()])
        self._known |= fresh.keys()
        self.payees |= payees
        return list(fresh.values())

    def pay_out(self, stage: Stage, day: int, at: datetime, least: Mapping[str, int]) -> None:
        """Ask for the payouts of those whose weekday it is, and submit what the bank can cover.

        `least` is what must have come together in each currency before it is asked for.
        Who is refused because a payout failed names a new method, and the operator lets the
        payouts go on; the next try is a week later.
        """
        with transaction(stage.engine, stage.tenant) as connection:
            rich = list_available(connection, least)
        asked = [
            (self.payees[payee_id], currency, amount)
            for payee_id, currency, amount in rich
            if payee_id in self.payees and self.payees[payee_id].weekday == at.weekday()
        ]
        outcomes = stage.serve(
            payouts.request,
            [
                RequestPayout(
                    actor=payee.actor,
                    payout_id=payee.dice.new_id(f"payout{day}|{currency}", at),
                    payee_id=payee.id,
                    method_id=payee.method_id,
                    amount_minor=amount,
                    currency=currency,
                )
                for payee, currency, amount in asked
            ],
        )
        stuck = {
            payee.id: payee
            for (payee, _, _), outcome in zip(asked, outcomes, strict=True)
            if outcome.code in {"payouts.paused", "payouts.method_disabled"}
        }
        self._mend(stage, list(stuck.values()))
        stage.call(payouts.submit_due)

    def _mend(self, stage: Stage, stuck: list[Payee]) -> None:
        for payee in stuck:
            payee.method_no += 1
        stage.serve(methods.add_methods, [_add_method(payee) for payee in stuck])
        stage.serve(
            methods.resume,
            [
                Resume(actor=OPERATOR, party_id=payee.id, reason="a new method was named")
                for payee in stuck
            ],
        )


def _add_method(payee: Payee) -> AddMethod:
    """The first method may fail; the one named after it is good, and told apart by its number."""
    token = payout_token(payee.dice) if payee.method_no == 1 else f"bank:no{payee.method_no}"
    return AddMethod(actor=payee.actor, method_id=payee.method_id, party_id=payee.id, token=token)
