"""What refunds after release and claims refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class PayeeShort(Refusal):
    """The payee's available balance does not cover his part, and the platform fronts nothing."""

    code = "claim.payee_short"


class UnknownClaim(Refusal):
    """There is no claim with this id."""

    code = "claim.unknown"


class InPersonOnly(Refusal):
    """A write-off is proposed and approved by people, not by programs."""

    code = "claim.in_person_only"


class SecondPerson(Refusal):
    """Who proposed a write-off cannot approve it."""

    code = "claim.second_person"


class NotProposed(Refusal):
    """Nobody has proposed to write this claim off."""

    code = "claim.not_proposed"


class ProposedAlready(Refusal):
    """A proposal to write this claim off waits for its second person."""

    code = "claim.proposed_already"


class BadClaimRules(Refusal):
    """The share of a release that goes to claims is 0 to 10,000 basis points."""

    code = "claim.bad_rules"
