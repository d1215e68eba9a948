"""What treasury, dormancy, blocked money and wallets refuse: one class per rule."""

from kernel.errors import Refusal


class BadFloor(Refusal):
    """A floor is zero or more minor units of one currency."""

    code = "treasury.bad_floor"


class RuleStands(Refusal):
    """Another row counts from this very time, and rows never change."""

    code = "treasury.rule_stands"


class BlockedMoney(Refusal):
    """A party is cleared by a release under a licence while money of it is blocked."""

    code = "sanctions.blocked_money"


class NothingBlocked(Refusal):
    """No money of this party is blocked."""

    code = "sanctions.nothing_blocked"


class UnknownRelease(Refusal):
    """No release of blocked money has this id."""

    code = "sanctions.unknown_release"


class ReleaseExists(Refusal):
    """A release of this party's money waits for its second person, or the id is used."""

    code = "sanctions.release_exists"


class ReleaseOver(Refusal):
    """The release was approved before."""

    code = "sanctions.release_over"


class SecondPerson(Refusal):
    """Blocked money goes back by two people: who prepared a release does not approve it."""

    code = "sanctions.second_person"


class BadLicence(Refusal):
    """A release names its licence and a reason in visible characters."""

    code = "sanctions.bad_licence"


class UnknownBlock(Refusal):
    """No block of this id waits for its report."""

    code = "sanctions.unknown_block"


class BadList(Refusal):
    """A list has a name and a date, and the parties that it names are known."""

    code = "sanctions.bad_list"


class BadRule(Refusal):
    """A rule of dormancy has a place, years, days of notice and a source, and never changes."""

    code = "unclaimed.bad_rule"


class UnknownOwner(Refusal):
    """No party has this id, or it is not yours."""

    code = "unclaimed.unknown_owner"


class NothingUnclaimed(Refusal):
    """Nothing is held here: not for this party, or not for this state."""

    code = "unclaimed.nothing_held"


class OwnerBlocked(Refusal):
    """A sanctions match stops dormancy: nothing is given back or remitted meanwhile."""

    code = "unclaimed.owner_blocked"


class UnknownRemittance(Refusal):
    """No prepared remittance has this id."""

    code = "unclaimed.unknown_remittance"


class RemittanceExists(Refusal):
    """A remittance of this id is there already."""

    code = "unclaimed.remittance_exists"


class RemittanceTakesTwo(Refusal):
    """Who prepared a remittance does not send it."""

    code = "unclaimed.second_person"


class BelowMinimum(Refusal):
    """A top-up or a withdrawal moves at least the minimum, but the last of a wallet may go."""

    code = "wallet.below_minimum"


class BadMinimum(Refusal):
    """A minimum is zero or more minor units, and never changes for a time that it counts from."""

    code = "wallet.bad_minimum"


class TopUpExists(Refusal):
    """A top-up of this id is there already."""

    code = "wallet.top_up_exists"


class WithdrawalExists(Refusal):
    """A withdrawal of this id was asked for before."""

    code = "wallet.withdrawal_exists"


class WalletShort(Refusal):
    """The wallet holds less than is asked for."""

    code = "wallet.short"


class MethodNeeded(Refusal):
    """No payment takes this part back any more: name a payout method for it."""

    code = "wallet.method_needed"
