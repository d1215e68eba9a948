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
