"""The words of what disputes refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DISPUTES: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        "escrow.already_flagged": (
            409,
            "Flagged already",
            "Submission {submission_no} has been called empty before.",
        ),
        "dispute.unknown": (404, "Unknown dispute", "There is no such dispute."),
        "dispute.no_claimant": (
            422,
            "Claimant missing",
            "An operator names the party for whom he opens; a party opens for itself alone.",
        ),
        "dispute.only_respondent": (
            403,
            "Not yours to answer",
            "This step belongs to the side that has to answer: {respondent}.",
        ),
        "dispute.only_opener": (
            403,
            "Not yours to withdraw",
            "Who opened a dispute withdraws it: {opened_by}.",
        ),
        "dispute.not_served": (
            409,
            "Not served",
            "Nobody loses by silence before it is proved that he was told.",
        ),
        "dispute.not_heard": (
            409,
            "Not heard yet",
            "Both have filed evidence, or their time for it is over, before anyone judges.",
        ),
        "dispute.small_claim": (
            409,
            "Small claim",
            "A small claim goes from negotiation straight to a decision on documents.",
        ),
        "dispute.no_small_claim": (
            409,
            "No small claim",
            "The claim is above the limit of the short way; it is mediated first.",
        ),
        "dispute.no_such_offer": (
            409,
            "No such offer",
            "Only the latest offer of the other side can be accepted: {latest}.",
        ),
        "dispute.in_person_only": (
            403,
            "For people only",
            "This takes an operator in person, not a program.",
        ),
        "dispute.already_involved": (
            403,
            "Involved already",
            "A mediator has had no part in the dispute before.",
        ),
        "dispute.same_person": (
            403,
            "Second person needed",
            "Who proposed a decision does not approve it.",
        ),
        "dispute.nothing_proposed": (
            409,
            "Nothing to approve",
            "There is no such proposal, or a newer one has taken its place.",
        ),
        "dispute.decision_stands": (
            409,
            "Decided by another",
            "Somebody was first: {payee} to the payee, {client} to the client.",
        ),
        "dispute.bad_shares": (
            422,
            "Shares do not add up",
            "The shares sum to what is frozen, and none is below zero.",
        ),
        "dispute.extended_already": (
            409,
            "Extended already",
            "Each stage of a dispute is extended once.",
        ),
        "dispute.paid_already": (
            409,
            "Paid already",
            "This side has paid for arbitration.",
        ),
        "dispute.no_recommendation": (
            409,
            "No recommendation",
            "There is no recommendation that could stand.",
        ),
        "dispute.bad_evidence": (
            422,
            "Evidence not taken",
            "Name a document by its SHA-256 in 64 small hex digits, and by a reference.",
        ),
        "dispute.open_already": (
            409,
            "Disputed already",
            "One dispute of a slot runs at a time.",
        ),
        "dispute.not_in_security_hold": (
            409,
            "Not in its security hold",
            "Nothing that was released is in its security hold any more.",
        ),
        "dispute.converted": (
            409,
            "Converted already",
            "What was released was converted: it is not split in the contract's currency any more.",
        ),
        "dispute.no_default": (
            409,
            "Not lost by silence",
            "Only who lost by silence appeals.",
        ),
        "dispute.appeal_too_late": (
            409,
            "Too late to appeal",
            "An appeal comes within seven days.",
        ),
        "dispute.appealed_already": (
            409,
            "Appealed already",
            "There is one appeal and no second.",
        ),
        "dispute.bad_rules": (
            422,
            "Rules out of range",
            "A limit is not below zero, a fee is 0 to 10,000 basis points.",
        ),
    }
)
