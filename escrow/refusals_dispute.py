"""What disputes refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownDispute(Refusal):
    """There is no such dispute."""

    code = "dispute.unknown"


class NoClaimant(Refusal):
    """An operator names the party for whom he opens a dispute; a party opens for itself."""

    code = "dispute.no_claimant"


class OnlyRespondent(Refusal):
    """This step belongs to the side that has to answer."""

    code = "dispute.only_respondent"


class OnlyOpener(Refusal):
    """Whoever opened a dispute withdraws it."""

    code = "dispute.only_opener"


class NotServed(Refusal):
    """Nobody loses by silence before it is proved that he was told."""

    code = "dispute.not_served"


class NotHeard(Refusal):
    """Both file evidence, or their time for it passes, before anyone judges."""

    code = "dispute.not_heard"


class SmallClaim(Refusal):
    """A small claim goes from negotiation straight to a decision on documents."""

    code = "dispute.small_claim"


class NoSmallClaim(Refusal):
    """The claim is above the limit of the short way."""

    code = "dispute.no_small_claim"


class NoSuchOffer(Refusal):
    """Only the latest offer of the other side can be accepted."""

    code = "dispute.no_such_offer"


class InPersonOnly(Refusal):
    """People judge, not programs."""

    code = "dispute.in_person_only"


class AlreadyInvolved(Refusal):
    """A mediator has had no part in the dispute before."""

    code = "dispute.already_involved"


class SamePerson(Refusal):
    """Who proposed a decision does not approve it (edge case 14)."""

    code = "dispute.same_person"


class NothingProposed(Refusal):
    """There is no proposed decision of this number."""

    code = "dispute.nothing_proposed"


class DecisionStands(Refusal):
    """Somebody else was first; the facts are his decision (edge case 13)."""

    code = "dispute.decision_stands"


class BadShares(Refusal):
    """The shares do not sum to what is frozen."""

    code = "dispute.bad_shares"


class ExtendedAlready(Refusal):
    """Each stage is extended once."""

    code = "dispute.extended_already"


class PaidAlready(Refusal):
    """This side has paid for arbitration, or nobody may any more."""

    code = "dispute.paid_already"


class NoRecommendation(Refusal):
    """There is no recommendation that could stand."""

    code = "dispute.no_recommendation"


class BadEvidence(Refusal):
    """Evidence is named by its SHA-256 in 64 small hex digits, and by a reference."""

    code = "dispute.bad_evidence"


class OpenAlready(Refusal):
    """One dispute of a slot runs at a time."""

    code = "dispute.open_already"


class NotInSecurityHold(Refusal):
    """Nothing that was released is in its security hold any more."""

    code = "dispute.not_in_security_hold"


class Converted(Refusal):
    """Released money that was converted is not split in the contract's currency any more."""

    code = "dispute.converted"


class NoDefault(Refusal):
    """Only who lost by silence appeals."""

    code = "dispute.no_default"


class AppealTooLate(Refusal):
    """An appeal comes within seven days."""

    code = "dispute.appeal_too_late"


class AppealedAlready(Refusal):
    """There is one appeal and no second."""

    code = "dispute.appealed_already"


class BadRules(Refusal):
    """A limit is not below zero, a fee is 0 to 10,000 basis points."""

    code = "dispute.bad_rules"
