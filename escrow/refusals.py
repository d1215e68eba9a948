"""What escrow refuses: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class WrongState(Refusal):
    """The machine has no such step from this state."""

    code = "escrow.wrong_state"


class NotYours(Refusal):
    """This step belongs to another role."""

    code = "escrow.not_yours"


class StaleVersion(Refusal):
    """What the caller saw is no longer what there is: look again, then decide (edge case 16)."""

    code = "escrow.stale_version"


class SubjectTwice(Refusal):
    """One list of commands names the same subject twice."""

    code = "escrow.subject_twice"


class Held(Refusal):
    """An open hold blocks every outflow of this subject."""

    code = "escrow.held"


class NotCleared(Refusal):
    """The client's bank may still take the money back."""

    code = "escrow.not_cleared"


class AmountOutOfRange(Refusal):
    """The amount is not one that this step can take."""

    code = "escrow.amount_out_of_range"


class BadTerms(Refusal):
    """A rate, a length or a count of the terms is outside its range."""

    code = "escrow.bad_terms"


class BadMilestones(Refusal):
    """A proposal has one to a hundred milestones, each with an id of its own."""

    code = "escrow.bad_milestones"


class SameParty(Refusal):
    """Client and payee must be two parties."""

    code = "escrow.same_party"


class UnknownContract(Refusal):
    """There is no contract with this id."""

    code = "escrow.unknown_contract"


class UnknownSlot(Refusal):
    """There is no slot with this id."""

    code = "escrow.unknown_slot"


class UnknownFunding(Refusal):
    """There is no funding with this id."""

    code = "escrow.unknown_funding"


class UnknownRefund(Refusal):
    """There is no refund with this id."""

    code = "escrow.unknown_refund"


class UnknownRelease(Refusal):
    """There is no release with this id."""

    code = "escrow.unknown_release"


class UnknownAmendment(Refusal):
    """There is no amendment with this id."""

    code = "escrow.unknown_amendment"


class UnknownParty(Refusal):
    """There is no party with this id."""

    code = "escrow.unknown_party"


class IdTaken(Refusal):
    """Something with this id is there already."""

    code = "escrow.id_taken"


class OtherPartyMustSign(Refusal):
    """Who proposed cannot accept for the other side."""

    code = "escrow.other_party_must_sign"


class PartyNotClear(Refusal):
    """Money comes in only when identity is verified and sanctions are clear for both parties."""

    code = "escrow.party_not_clear"


class ContractNotRunning(Refusal):
    """The contract takes no new money in this state."""

    code = "escrow.contract_not_running"


class NothingUnpaid(Refusal):
    """The agreed price is paid in full, or a payment for it is under way."""

    code = "escrow.nothing_unpaid"


class FundingOpen(Refusal):
    """A payment for this slot is still under way."""

    code = "escrow.funding_open"


class EmptySubmission(Refusal):
    """A submission needs a message or an artefact: it starts a clock (edge case 18)."""

    code = "escrow.empty_submission"


class ReasonRequired(Refusal):
    """This step must say why."""

    code = "escrow.reason_required"


class ReviewIsOver(Refusal):
    """The time to ask for changes has run out."""

    code = "escrow.review_is_over"


class AlreadyFlagged(Refusal):
    """This submission was called empty before: the day for it is given once."""

    code = "escrow.already_flagged"


class ChangeRoundsUsed(Refusal):
    """All free rounds of changes are used."""

    code = "escrow.change_rounds_used"


class NeedsBoth(Refusal):
    """The contract says that both must confirm."""

    code = "escrow.needs_both"


class NotBothConfirm(Refusal):
    """The contract does not ask for confirmations: the client approves."""

    code = "escrow.not_both_confirm"


class AlreadyConfirmed(Refusal):
    """This side has confirmed already; the other has not."""

    code = "escrow.already_confirmed"


class NoTimer(Refusal):
    """The contract says that only the client releases."""

    code = "escrow.no_timer"


class NoticesMissing(Refusal):
    """A slot falls dormant only after its three notices."""

    code = "escrow.notices_missing"


class AboveLimit(Refusal):
    """A dormant slot above the limit waits for an operator in person: no timer, no key."""

    code = "escrow.above_limit"


class NotSettled(Refusal):
    """The contract still holds money or has money on its way."""

    code = "escrow.not_settled"


class BadAmendment(Refusal):
    """An amendment names a new price or a slot of the same contract to roll to, not both."""

    code = "escrow.bad_amendment"


class NothingReleased(Refusal):
    """The payee has nothing of this slot that could go back."""

    code = "escrow.nothing_released"


class BadText(Refusal):
    """A text is longer than its field takes, or holds a character that no database keeps."""

    code = "escrow.bad_text"


class NotAMilestone(Refusal):
    """The slot of a week or a period moves by the week or the period."""

    code = "escrow.not_a_milestone"
