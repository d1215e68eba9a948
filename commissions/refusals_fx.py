"""What exchange refuses besides what its maths refuses, each with its stable code."""

from kernel.errors import Refusal


class NoRate(Refusal):
    """The source that the policy names has no rate of this pair."""

    code = "fx.no_rate"


class SameCurrency(Refusal):
    """There is nothing to exchange between a currency and itself."""

    code = "fx.same_currency"


class UnknownQuote(Refusal):
    """There is no such quote, or it is another party's."""

    code = "fx.unknown_quote"


class QuoteUsed(Refusal):
    """A quote is used once; `used_by` says for what."""

    code = "fx.quote_used"


class QuoteExpired(Refusal):
    """The quote has ended: ask for a new one."""

    code = "fx.quote_expired"


class QuoteOfAnotherPair(Refusal):
    """The quote is not of the currencies or the amount that it is used for."""

    code = "fx.quote_does_not_fit"


class RateMoved(Refusal):
    """The rate moved further from the one that was shown than the policy lets pass: ask again."""

    code = "fx.rate_moved"


class OverLimit(Refusal):
    """So much of a currency waits for its fill that no more is sold or bought."""

    code = "fx.over_limit"


class RateDiffers(Refusal):
    """The source gave another rate for this day before; what was taken stays as it is."""

    code = "fx.rate_differs"


class UnknownConversion(Refusal):
    """There is no such conversion."""

    code = "fx.unknown_conversion"


class AlreadyFilled(Refusal):
    """The conversion was filled by another fill; nothing is filled twice."""

    code = "fx.already_filled"


class FillTaken(Refusal):
    """This fill of the provider has filled another conversion, or this one otherwise."""

    code = "fx.fill_taken"


class FillInAnotherCurrency(Refusal):
    """A conversion is filled in the currency that it bought."""

    code = "fx.fill_in_another_currency"


class BadPolicy(Refusal):
    """The policy cannot be what was meant; `why` says where."""

    code = "fx.bad_policy"


class UnknownPolicy(Refusal):
    """There is no such policy."""

    code = "fx.unknown_policy"


class PolicyApproved(Refusal):
    """The policy was approved already."""

    code = "fx.policy_approved"


class SecondPerson(Refusal):
    """Who prepared a policy does not approve it, and both are people."""

    code = "fx.second_person"


class NotOperator(Refusal):
    """Only the platform does this."""

    code = "fx.not_operator"


class UnknownParty(Refusal):
    """There is no such party, or it is not the caller's."""

    code = "fx.unknown_party"


class OnHold(Refusal):
    """A hold blocks this party's money."""

    code = "fx.on_hold"


class PartyNotClear(Refusal):
    """The party is not verified, or is on a list of sanctions."""

    code = "fx.party_not_clear"


class NotRevalued(Refusal):
    """There is no revaluation of this day to take back."""

    code = "fx.not_revalued"


class LaterRevalued(Refusal):
    """A later day was revalued already: take that back first."""

    code = "fx.later_revalued"


class DayNotOver(Refusal):
    """Balances are revalued at the end of a day that is over."""

    code = "fx.day_not_over"
