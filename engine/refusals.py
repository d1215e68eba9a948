"""The words and the HTTP status of every refusal, by its stable code.

A refusal carries facts; here it becomes a title and a sentence for whoever was refused. A test
walks all refusals of the product and asks for their words.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from engine.refusals_told import TOLD


class Words(NamedTuple):
    """How a refusal is told: HTTP status, a title that never changes, and what to make of it.

    `detail` may name facts in braces; a fact that is missing is left out.
    """

    status: int
    title: str
    detail: str


class _Facts(dict[str, object]):
    """Facts for a sentence; one that is missing reads as an ellipsis."""

    def __missing__(self, name: str) -> str:
        return "…"


_GATE: Final = {
    "request.unreadable": Words(400, "Unreadable body", "The body is no plain JSON: {why}."),
    "request.invalid": Words(422, "Invalid fields", "Some fields are not what this call takes."),
    "request.too_large": Words(
        413, "Body too large", "A body may have at most {largest_bytes} bytes."
    ),
    "request.too_slow": Words(
        408, "Body too slow", "The body did not arrive within {timeout_s} seconds."
    ),
    "request.media_type": Words(
        415, "Not plain JSON", "Send application/json in UTF-8, uncompressed."
    ),
    "request.idempotency_key": Words(
        400,
        "Idempotency-Key missing or malformed",
        "Send one Idempotency-Key of 1 to 255 visible ASCII characters with every write.",
    ),
    "request.cursor": Words(
        400, "Unknown cursor", "Begin the list anew, and give back only cursors it gave you."
    ),
    "request.header": Words(400, "Malformed header", "The header {header} cannot be read."),
    "request.outcome_unknown": Words(
        503,
        "Outcome not known yet",
        "Send the same request with the same Idempotency-Key again to learn what became of it.",
    ),
    "idempotency_mismatch": Words(
        422,
        "Idempotency-Key used before",
        "This key was used for another request; a new request needs a new key.",
    ),
    "auth.unauthenticated": Words(
        401, "Not signed in", "Send a valid API key: Authorization: Bearer hf_..."
    ),
    "auth.scope_missing": Words(403, "Scope missing", "This key lacks the scope {scope}."),
    "auth.party_not_allowed": Words(
        403, "Not your party", "This key may not act for the party that the request names."
    ),
    "auth.platform_only": Words(
        403, "For the platform only", "A key of one party may neither see nor set this."
    ),
    "not_found": Words(404, "Not found", "There is nothing here that you may see."),
    "method_not_allowed": Words(
        405, "Method not allowed", "This address takes other methods; see the header Allow."
    ),
    "unavailable": Words(
        503, "Temporarily unavailable", "Try again soon; a write with the same Idempotency-Key."
    ),
    "internal": Words(
        500, "Fault of ours", "Something on our side failed; repeat it with the same key."
    ),
}

_MONEY: Final = {
    "money.unknown_currency": Words(
        422, "Unknown currency", "We keep no books in {currency}; use an ISO 4217 code."
    ),
    "money.malformed_amount": Words(
        422, "Malformed amount", 'Write an amount as digits with at most one point: "100.00".'
    ),
    "money.too_many_decimals": Words(
        422, "Too many decimals", "{currency} has no unit as small as {amount}."
    ),
    "money.not_positive": Words(422, "Not above zero", "An amount must be greater than zero."),
    "money.too_large": Words(422, "Too large", "The largest amount is {largest}."),
    "money.currency_mismatch": Words(
        422, "Other currency", "This deal is in {currency}, the amount in {given}."
    ),
}

_LEDGER: Final = {
    "ledger.insufficient_funds": Words(
        409, "Not enough money", "The account {account} does not hold that much."
    ),
    "ledger.unbalanced": Words(422, "Unbalanced entry", "The lines do not sum to zero."),
    "ledger.bad_entry": Words(
        422, "Malformed entry", "An entry has 2 to 1,000 lines of one book and one currency."
    ),
    "ledger.unknown_account_kind": Words(
        422, "Unknown kind of account", "The chart has no account {kind} of this form."
    ),
    "ledger.account_not_open": Words(
        409, "Account not open", "The account {account} takes no entry now."
    ),
    "ledger.period_not_open": Words(
        409,
        "Period not open",
        "The period of {effective_at} takes no more entries; from {open_from} on one does.",
    ),
    "ledger.bad_effective_at": Words(
        422, "Impossible time", "{effective_at} lies outside the years 1970 to 2199."
    ),
    "ledger.already_reversed": Words(409, "Reversed already", "An entry is reversed at most once."),
    "ledger.nothing_to_reverse": Words(409, "Nothing to reverse", "The event moved no money."),
    "ledger.reason_missing": Words(422, "Reason missing", "A reversal says why."),
    "ledger.reversal_of_reversal": Words(
        409, "Already a reversal", "Post what was meant as a new event."
    ),
    "ledger.unknown_event": Words(404, "Unknown event", "There is no event of this number."),
    "party.unknown": Words(404, "Unknown party", "There is no party with this id."),
    "party.exists": Words(409, "Reference taken", "Another party has this reference already."),
    "party.bad_country": Words(
        422, "Unknown country", "A country is two capital letters (ISO 3166-1)."
    ),
    "party.operator_only": Words(403, "Operators only", "Only an operator may change this."),
    "hold.unknown": Words(404, "Unknown hold", "There is no open hold with this id."),
    "hold.unknown_subject": Words(
        404, "Unknown subject", "There is no party, contract or slot of this name."
    ),
    "hold.reason_missing": Words(
        422, "Reason missing", "A hold carries a reason: nobody is frozen without one."
    ),
}

_RESERVATIONS: Final = {
    "ledger.link_broken": Words(
        409, "Chain broken", "Draft {link} of this chain was refused: {because}."
    ),
    "ledger.reversal_of_reservation": Words(
        409, "Money set aside", "What a reservation moved is voided or posted anew, not reversed."
    ),
    "reservation.operator_only": Words(
        403, "Operators only", "Only an operator sets money aside, posts it, or gives it back."
    ),
    "reservation.unknown": Words(404, "Unknown reservation", "There is no such reservation."),
    "reservation.exists": Words(409, "Id taken", "A reservation of this id is there already."),
    "reservation.named_twice": Words(
        422, "Named twice", "One list names the same reservation twice."
    ),
    "reservation.not_reservable": Words(
        422, "Not to be set aside", "Nothing is set aside on {account}: {why}."
    ),
    "reservation.bad_target": Words(
        422, "Not paid there", "What was set aside is not paid there: {why}."
    ),
    "reservation.bad_expiry": Words(
        422, "Impossible time", "{expires_at} is not later than now, or not before the year 2200."
    ),
    "reservation.reason_missing": Words(
        422, "Reason missing", "A reservation says what the money is set aside for."
    ),
    "reservation.exceeds_remaining": Words(
        409, "More than remains", "The reservation does not hold that much any more."
    ),
    "reservation.already_posted": Words(409, "Posted already", "Nothing of it remains."),
    "reservation.already_voided": Words(409, "Voided already", "What remained was given back."),
    "reservation.already_expired": Words(
        409, "Expired", "Its time is over: what remained goes back by itself."
    ),
    "reservation.held": Words(
        409, "On hold", "An open hold on the party blocks every outflow of its money."
    ),
}

_ESCROW_STATES: Final = {
    "escrow.wrong_state": Words(
        409, "Not possible in this state", "From {state} there is no step {trigger}."
    ),
    "escrow.stale_version": Words(
        409, "Changed meanwhile", "What you saw is no longer so: read it again, then decide."
    ),
    "escrow.held": Words(409, "On hold", "An open hold blocks every outflow."),
    "escrow.not_cleared": Words(
        409, "Payment not cleared", "The client's bank may still take the money back."
    ),
    "escrow.other_party_must_sign": Words(
        409, "The other side must sign", "Who proposed cannot accept for the other side."
    ),
    "escrow.party_not_clear": Words(
        409,
        "Party not cleared",
        "Money comes in once identity is verified and sanctions are clear for both parties.",
    ),
    "escrow.contract_not_running": Words(
        409, "Contract not running", "In {state} the contract takes no new money."
    ),
    "escrow.nothing_unpaid": Words(
        409, "Nothing to pay", "The price is paid, or a payment for it is under way."
    ),
    "escrow.funding_open": Words(
        409, "Payment under way", "A payment for this slot is still under way."
    ),
    "escrow.review_is_over": Words(
        409, "Review is over", "The time to ask for changes ended at {ended_at}."
    ),
    "escrow.change_rounds_used": Words(
        409, "No free rounds left", "All {free_rounds} free rounds of changes are used."
    ),
    "escrow.needs_both": Words(
        409, "Both must confirm", "This contract releases once both sides have confirmed."
    ),
    "escrow.not_both_confirm": Words(
        409, "No confirmations here", "In this contract the client approves."
    ),
    "escrow.already_confirmed": Words(
        409, "Confirmed already", "Your side has confirmed; the other has not yet."
    ),
    "escrow.no_timer": Words(409, "No timer here", "In this contract only the client releases."),
    "escrow.notices_missing": Words(
        409, "Notices missing", "A slot falls dormant only after its three notices."
    ),
    "escrow.above_limit": Words(
        409, "Above the limit", "A dormant slot of this size waits for an operator in person."
    ),
    "escrow.not_settled": Words(
        409, "Not settled", "The contract holds money, or some is on its way."
    ),
    "escrow.id_taken": Words(409, "Id taken", "Something with this id is there already."),
}

_ESCROW: Final = {
    "escrow.not_yours": Words(403, "Not yours", "This step belongs to another role."),
    "escrow.subject_twice": Words(422, "Named twice", "One list names the same subject twice."),
    "escrow.amount_out_of_range": Words(
        422, "Amount out of range", "This step does not take that amount."
    ),
    "escrow.bad_terms": Words(
        422, "Terms out of range", "A rate, a length or a count is outside its range."
    ),
    "escrow.bad_milestones": Words(
        422, "Bad milestones", "A proposal has one to a hundred milestones."
    ),
    "escrow.bad_amendment": Words(
        422, "Bad amendment", "Name a new price, or another slot of the same contract; not both."
    ),
    "escrow.same_party": Words(422, "One party", "Client and payee must be two parties."),
    "escrow.empty_submission": Words(
        422, "Nothing shown", "A submission needs a message or an artefact."
    ),
    "escrow.reason_required": Words(422, "Reason missing", "This step must say why."),
    "escrow.unknown_contract": Words(404, "Unknown contract", "There is no such contract."),
    "escrow.unknown_slot": Words(404, "Unknown slot", "There is no such slot."),
    "escrow.unknown_funding": Words(404, "Unknown funding", "There is no such funding."),
    "escrow.unknown_refund": Words(404, "Unknown refund", "There is no such refund."),
    "escrow.bad_text": Words(
        422, "Text not taken", "A text is too long, or has characters that cannot be stored."
    ),
    "escrow.unknown_release": Words(404, "Unknown release", "There is no such release."),
    "escrow.unknown_amendment": Words(404, "Unknown amendment", "There is no such amendment."),
    "escrow.unknown_party": Words(404, "Unknown party", "There is no party with this id."),
}

_PAYOUTS: Final = {
    "payouts.operator_only": Words(403, "Operators only", "Only an operator may change this."),
    "payouts.bad_fee": Words(
        422, "Fee not taken", "A fee is not below zero, and one that counts from a time stays."
    ),
    "payouts.not_yours": Words(403, "Not yours", "This step belongs to another role."),
    "payouts.wrong_state": Words(
        409, "Not possible in this state", "From {state} there is no step {trigger}."
    ),
    "payouts.on_hold": Words(409, "On hold", "An open hold blocks every outflow."),
    "payouts.paused": Words(
        409, "Payouts paused", "A payout failed or came back: name a good method first."
    ),
    "payouts.not_paused": Words(409, "Not paused", "The payouts of this party go on already."),
    "payouts.not_verified": Words(
        409, "Identity not verified", "Who is paid must be known: identity is not verified."
    ),
    "payouts.sanctions_hit": Words(
        409, "Sanctions match", "A sanctions match stops every payout until it is cleared."
    ),
    "payouts.method_disabled": Words(
        409, "Method disabled", "A payout to this method failed or came back."
    ),
    "payouts.method_exists": Words(409, "Method exists", "The payee has this method already."),
    "payouts.exists": Words(409, "Payout exists", "A payout of this id is there already."),
    "payouts.bank_short": Words(
        409, "Waits for settlement", "The custody bank does not hold enough yet."
    ),
    "payouts.nothing_left": Words(422, "Nothing left", "The fee would leave nothing to pay out."),
    "payouts.bad_method": Words(
        422, "Malformed method", "A method's token is 1 to 200 visible ASCII characters."
    ),
    "payouts.subject_twice": Words(422, "Named twice", "One list names the same subject twice."),
    "payouts.unknown_method": Words(404, "Unknown method", "The payee has no such method."),
    "payouts.unknown_payee": Words(404, "Unknown payee", "There is no party with this id."),
    "payouts.unknown_payout": Words(404, "Unknown payout", "There is no such payout."),
}

_HOUSE: Final = {
    "clock.not_sandbox": Words(409, "Not a sandbox", "Only a sandbox's clock can be moved."),
    "clock.backwards": Words(409, "Backwards", "A clock only moves forward; it is {now}."),
    "clock.has_events": Words(409, "Log not empty", "A tenant with events keeps the clock it has."),
    "export.unreadable": Words(
        422, "Not an export", "This is no whole export of a form that we read."
    ),
    "export.folder_not_empty": Words(
        409, "Folder not empty", "An export is written into a new or empty folder."
    ),
    "export.does_not_fit": Words(
        422,
        "Value too long for the format",
        "{field} holds at most {longest} characters in this format; leave the format out.",
    ),
    "export.not_sealed": Words(
        409, "Nothing sealed yet", "There is no sealed event to export; try again in a minute."
    ),
    "export.unknown_format": Words(
        422, "Unknown format", "The books are written in these formats: {formats}."
    ),
    "key.unknown": Words(404, "Unknown key", "There is no key with this id."),
    "key.over": Words(409, "Key is over", "The key is revoked or expired."),
    "tenant.bad_name": Words(
        422,
        "Malformed tenant",
        "A tenant's name is a small letter, then small letters, digits, underscores.",
    ),
    "tenant.exists": Words(409, "Tenant exists", "A tenant of this name is there already."),
    "tenant.unknown": Words(404, "Unknown tenant", "No tenant has this name."),
    "replay.nothing_to_replay": Words(
        422, "Nothing to replay", "No posting of the file can be replayed."
    ),
    "replay.tenant_not_empty": Words(
        409, "Tenant not empty", "A replay runs in a tenant of its own, without events."
    ),
    "replay.not_postings": Words(422, "Not postings", "The file is no list of job postings."),
}

REFUSALS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        **_GATE,
        **_MONEY,
        **_LEDGER,
        **_RESERVATIONS,
        **{code: Words(*told) for code, told in TOLD.items()},
        **_ESCROW_STATES,
        **_ESCROW,
        **_PAYOUTS,
        **_HOUSE,
    }
)

_UNLISTED: Final = Words(409, "Refused", "The rules say no: {code}.")


def words(code: str) -> Words:
    """The words of a code; a code that nobody listed is told plainly, as a conflict."""
    return REFUSALS.get(code, _UNLISTED)


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """What to make of a refusal, with its facts put in."""
    return words(code).detail.format_map(_Facts(facts, code=code))
