"""Pairs on a dispute: opening, answers, offers, decisions, clocks, and what it stops."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from kernel.commands import Outcome
from tests.escrow.stage import Stage
from tests.escrow.stage_dispute import Court
from tests.interleave import pairs_deal as deal
from tests.interleave.scenes import Act, Pair, rings


def submitted(connection: Connection) -> Court:
    return Court(deal.submitted(connection))


def review_over(connection: Connection) -> Court:
    return Court(deal.review_over(connection))


def asked_back(connection: Connection) -> Court:
    return Court(deal.asked_back(connection))


def unanswered(connection: Connection) -> Court:
    return Court(deal.unanswered(connection))


def served(connection: Connection) -> Court:
    court = submitted(connection)
    assert court.open().is_done
    assert court.serve().is_done
    return court


def silent(connection: Connection) -> Court:
    """The time to answer is over; nobody has looked yet."""
    return later(served(connection), days=8)


def talking(connection: Connection) -> Court:
    """The client has offered 60.00."""
    court = submitted(connection).in_negotiation(9_000)
    assert court.offer(court.stage.client, 6_000).is_done
    return court


def talked_out(connection: Connection) -> Court:
    return later(talking(connection), days=8)


def heard(connection: Connection) -> Court:
    """A small claim, heard, that waits for a decision."""
    court = submitted(connection).in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done
    return looked_at(court)


def proposed(connection: Connection) -> Court:
    court = heard(connection)
    assert court.propose(7_000).is_done
    return looked_at(court)


def looked_at(court: Court) -> Court:
    """Whoever decides has looked at the dispute as it is now."""
    court.seen = court.dispute.version  # type: ignore[attr-defined]
    return court


def recommended(connection: Connection) -> Court:
    """A mediator said half; either side may elect arbitration."""
    court = Court(Stage(connection, amounts=(100_000,)).submitted())
    court.in_negotiation()
    assert court.act("mediate_dispute", court.stage.client).is_done
    assert court.file(court.stage.client).is_done
    assert court.file(court.stage.payee).is_done
    assert court.recommend(50_000).is_done
    return court


def later(court: Court, **length: int) -> Court:
    court.stage.now += timedelta(**length)
    return court


def by_client(verb: str) -> Act:
    return lambda court: court.act(verb, court.stage.client)


def by_payee(verb: str) -> Act:
    return lambda court: court.act(verb, court.stage.payee)


def open_all(court: Court) -> Outcome:
    return court.open()


def open_part(court: Court) -> Outcome:
    return court.open(court.stage.payee, 4_000)


def reject_refund(court: Court) -> Outcome:
    return court.open(court.stage.payee, rejects_refund=True)


def accept_offer(court: Court) -> Outcome:
    return court.accept(court.stage.payee, 2)


def new_offer(court: Court) -> Outcome:
    return court.offer(court.stage.client, 5_000)


def first_decision(court: Any) -> Outcome:
    return court.propose(7_000, version=court.seen)  # type: ignore[no-any-return]


def second_decision(court: Any) -> Outcome:
    return court.propose(2_000, court.second, version=court.seen)  # type: ignore[no-any-return]


def approve_decision(court: Any) -> Outcome:
    return court.approve(version=court.seen)  # type: ignore[no-any-return]


def approve_too(court: Any) -> Outcome:
    return court.approve(court.mediator, version=court.seen)  # type: ignore[no-any-return]


def settled(court: Court) -> Outcome:
    return court.accept(court.stage.client, 1)


def on_stage(act: Act) -> Act:
    return lambda court: act(court.stage)


_RING_REPLY: Final = rings("escrow.dispute_reply")
_RING_TALKS: Final = rings("escrow.dispute_negotiation")
_RING_REVIEW: Final = rings("escrow.auto_release")
_RING_REFUND: Final = rings("escrow.refund_reply")

PAIRS: Final = (
    Pair("approve / dispute", submitted, on_stage(deal.approve), open_all),
    Pair("part / dispute", submitted, on_stage(deal.part), open_all),
    Pair("part / dispute of a part", submitted, on_stage(deal.part), open_part),
    Pair("request changes / dispute", submitted, on_stage(deal.changes), open_all),
    Pair("give back / dispute", submitted, on_stage(deal.give_back), open_part),
    Pair("end / dispute", submitted, on_stage(deal.end), open_all),
    Pair("dispute / dispute", submitted, open_all, open_part),
    Pair("auto-release / dispute", review_over, _RING_REVIEW, open_all),
    Pair("refund reply / reject", unanswered, _RING_REFUND, reject_refund),
    Pair("accept refund / reject", asked_back, on_stage(deal.accept_refund), reject_refund),
    Pair("withdraw / concede", served, by_client("withdraw_dispute"), by_payee("concede_dispute")),
    Pair("reply clock / answer", silent, _RING_REPLY, lambda c: c.offer(c.stage.payee, 1)),
    Pair("reply clock / concede", silent, _RING_REPLY, by_payee("concede_dispute")),
    Pair("reply clock / withdraw", silent, _RING_REPLY, by_client("withdraw_dispute")),
    Pair("reply clock / hold placed", silent, _RING_REPLY, on_stage(deal.hold_payee)),
    Pair("accept offer / new offer", talking, accept_offer, new_offer),
    Pair("accept offer / withdraw", talking, accept_offer, by_client("withdraw_dispute")),
    Pair("accept offer / mediate", talking, accept_offer, by_client("mediate_dispute")),
    Pair("accept offer / accept", talking, accept_offer, settled),
    Pair("accept offer / hold placed", talking, accept_offer, on_stage(deal.hold_contract)),
    Pair("talks clock / accept offer", talked_out, _RING_TALKS, accept_offer),
    Pair("withdraw / mediate", talking, by_client("withdraw_dispute"), by_payee("mediate_dispute")),
    Pair("two decisions", heard, first_decision, second_decision),
    Pair("decide / settle", proposed, approve_decision, accept_offer),
    Pair("two approvals", proposed, approve_decision, approve_too),
    Pair("decide / another decision", proposed, approve_decision, second_decision),
    Pair("decide / hold placed", proposed, approve_decision, on_stage(deal.hold_payee)),
    Pair(
        "elect / elect",
        recommended,
        by_client("elect_arbitration"),
        by_payee("elect_arbitration"),
    ),
)
