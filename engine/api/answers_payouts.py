"""The shapes of what is answered about methods, payees' accounts at rails, and payouts' policy."""

from engine.api.answers import Answer, IdText, Money, TimeText


class MethodStateAnswer(Answer):
    """What a payout method is by now; it takes payouts from `usable_from` on, once active."""

    payee_id: IdText
    method_id: IdText
    rail: str
    state: str
    usable_from: TimeText


class PayeeAccountAnswer(Answer):
    """A payee's account at a rail; `account` is the rail's name of it, empty until it is open.

    `as_of` is the rail's own time of what it lets the account do; null until it was read.
    """

    id: IdText
    party_id: IdText
    rail: str
    account: str
    state: str
    may_receive: bool
    may_be_paid_out: bool
    requirements: list[str]
    deadline: TimeText | None
    disabled_reason: str
    as_of: TimeText | None
    is_live: bool
    code: str
    opened_at: TimeText


class PayeeAccountsAnswer(Answer):
    """All accounts that a payee ever had at rails, oldest first."""

    items: list[PayeeAccountAnswer]


class PayeeLinkAnswer(Answer):
    """Where the payee tells the rail about himself; good once, and for minutes."""

    url: str


class PayoutPolicyAnswer(Answer):
    """A version of the policy: of methods, or of a currency's limits; counts once approved."""

    id: IdText
    currency: str | None
    valid_from: TimeText
    cooling_days: int | None
    needs_verifying: bool | None
    approval_above: Money | None
    minimum: Money | None
    reason: str
    prepared_by: IdText
    prepared_at: TimeText
    approved_by: IdText | None
    approved_at: TimeText | None


class PayoutPoliciesAnswer(Answer):
    """The newest versions, and what counts now for a method that is named."""

    cooling_days: int
    needs_verifying: bool
    items: list[PayoutPolicyAnswer]
