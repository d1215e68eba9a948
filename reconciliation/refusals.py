"""What reconciliation refuses: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class OperatorOnly(Refusal):
    """Statements and matches are the platform's own business."""

    code = "reconciliation.operator_only"


class UnknownStatementAccount(Refusal):
    """Nobody has said which place of the books this account of a statement stands for."""

    code = "statement.unknown_account"


class AccountExists(Refusal):
    """The account stands for a place already."""

    code = "statement.account_exists"


class BadPlace(Refusal):
    """A place is the processor with a rail account, or one of the two banks without."""

    code = "statement.bad_place"


class Contradicts(Refusal):
    """A line that is known by its reference comes again with other money."""

    code = "statement.contradicts"


class UnknownMatch(Refusal):
    """No match has this id."""

    code = "match.unknown"


class UndoneAlready(Refusal):
    """The match was undone before."""

    code = "match.undone_already"


class UnknownProposal(Refusal):
    """No proposal has this id."""

    code = "proposal.unknown"


class DecidedAlready(Refusal):
    """The proposal was accepted or rejected before."""

    code = "proposal.decided_already"


class Overtaken(Refusal):
    """A line or an item of the proposal was matched meanwhile."""

    code = "proposal.overtaken"


class DifferenceNotPosted(Refusal):
    """The two sides differ, and nobody is set up to post the difference."""

    code = "proposal.difference_not_posted"
