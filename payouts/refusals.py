"""What payouts refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownPayout(Refusal):
    """No payout has this id."""

    code = "payouts.unknown_payout"


class PayoutExists(Refusal):
    """A payout of this id is there already."""

    code = "payouts.exists"


class SubjectTwice(Refusal):
    """One list of commands names the same subject twice."""

    code = "payouts.subject_twice"


class WrongState(Refusal):
    """The payout has no such step from its state."""

    code = "payouts.wrong_state"


class NotYours(Refusal):
    """This step belongs to another role."""

    code = "payouts.not_yours"


class UnknownPayee(Refusal):
    """No party has this id."""

    code = "payouts.unknown_payee"


class NotVerified(Refusal):
    """Who is paid must be known: identity is not verified."""

    code = "payouts.not_verified"


class SanctionsHit(Refusal):
    """A sanctions match stops every payout until it is cleared."""

    code = "payouts.sanctions_hit"


class OnHold(Refusal):
    """An open hold blocks every outflow of this payee."""

    code = "payouts.on_hold"


class Paused(Refusal):
    """A payout failed or came back: nothing leaves until an operator has looked and resumed."""

    code = "payouts.paused"


class UnknownMethod(Refusal):
    """The payee has no payout method of this id."""

    code = "payouts.unknown_method"


class MethodDisabled(Refusal):
    """A payout to this method failed or came back; it takes no more."""

    code = "payouts.method_disabled"


class MethodExists(Refusal):
    """The payee has this method already."""

    code = "payouts.method_exists"


class BadMethod(Refusal):
    """A method's token is one to two hundred visible ASCII characters."""

    code = "payouts.bad_method"


class NothingLeft(Refusal):
    """The fee would leave nothing to pay out."""

    code = "payouts.nothing_left"


class BankShort(Refusal):
    """The custody bank does not hold enough yet; the payout waits for the next settlement."""

    code = "payouts.bank_short"


class NotPaused(Refusal):
    """The payee's payouts are not paused."""

    code = "payouts.not_paused"


class OperatorOnly(Refusal):
    """Only an operator of the tenant may do this."""

    code = "payouts.operator_only"


class BadFee(Refusal):
    """A fee is zero or more minor units, and never changed for a time that it counts from."""

    code = "payouts.bad_fee"


class MethodUnverified(Refusal):
    """Nobody has verified yet that the method is the payee's."""

    code = "payouts.method_unverified"


class MethodCooling(Refusal):
    """A method takes its first payout some days after it was named, so that its owner hears."""

    code = "payouts.method_cooling"


class NotUnverified(Refusal):
    """Only a method that waits for it can be verified."""

    code = "payouts.not_unverified"


class BelowMinimum(Refusal):
    """Less than the least amount that is paid out of this currency."""

    code = "payouts.below_minimum"


class NeedsApproval(Refusal):
    """So much leaves only after a second person has said yes."""

    code = "payouts.needs_approval"


class NeedsNoApproval(Refusal):
    """The policy asks for nobody's word on this amount."""

    code = "payouts.needs_no_approval"


class SecondPerson(Refusal):
    """Whoever asked for it does not approve it; it takes another person."""

    code = "payouts.second_person"


class NotSanctioned(Refusal):
    """Money is blocked on a sanctions match alone, and this payee has none."""

    code = "payouts.not_sanctioned"


class ReasonMissing(Refusal):
    """A payout is refused with a reason: nobody waits for his money without one."""

    code = "payouts.reason_missing"


class ProcessorShort(Refusal):
    """The rail's balance does not hold enough beyond what is promised; the payout waits."""

    code = "payouts.processor_short"


class NoPayeeAccount(Refusal):
    """The payee has no account at this rail that may be paid out."""

    code = "payouts.no_payee_account"


class PayeeAccountExists(Refusal):
    """The payee has an account at this rail, or one is being opened."""

    code = "payouts.payee_account_exists"


class UnknownPayeeAccount(Refusal):
    """No payee's account has this id."""

    code = "payouts.unknown_payee_account"


class BadPolicy(Refusal):
    """A policy is about methods (days, verification) or about one currency (limit, minimum)."""

    code = "payouts.bad_policy"


class UnknownPolicy(Refusal):
    """No policy that waits for its second person has this id."""

    code = "payouts.unknown_policy"
