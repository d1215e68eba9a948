"""The model as lines of text, each a fact that the database must show in the same words."""

from collections import Counter
from collections.abc import Iterator

from tests.model.model import Release, World


def lines(world: World) -> Counter[str]:
    """Every account that is not at zero, every row that has a state, every clock."""
    return Counter([*_books(world), *_deals(world), *_money(world), *_people(world)])


def _books(world: World) -> Iterator[str]:
    for (kind, subject, currency), amount in world.accounts().items():
        yield f"account {kind}[{subject}] {currency} {amount}"


def _deals(world: World) -> Iterator[str]:
    for contract in world.contracts:
        yield f"contract {contract.id} {contract.state}"
    for slot in world.slots:
        yield (
            f"slot {slot.id} {slot.state} v{slot.version} price {slot.price} held {slot.held}"
            f" released {slot.released} refunded {slot.refunded} uncleared {slot.uncleared}"
            f" fee {slot.fee_deferred} unpaid {slot.unpaid} submission {slot.submission}"
            f" notices {slot.notices}"
        )
    for offer in world.amendments:
        yield f"amendment {offer.id} {offer.state}"
    for (subject, kind), clock in world.clocks.items():
        concerned = world.by_subject[subject]
        name = concerned.label if isinstance(concerned, Release) else subject
        when = f"at {clock.due}" if clock.left is None else f"stopped {clock.left}"
        yield f"clock {kind} {name} {when}"


def _money(world: World) -> Iterator[str]:
    for paid in world.fundings:
        yield f"funding {paid.id} {paid.state}"
    for back in world.refunds:
        yield f"refund {back.slot.id}/{back.funding.id} {back.amount} {back.fee} {back.state}"
    for release in world.releases:
        yield f"{release.label} {release.commission} {release.state}"
    for payout in world.payouts:
        yield f"payout {payout.id} {payout.state} {payout.amount} {payout.fee}"


def _people(world: World) -> Iterator[str]:
    for party in world.parties:
        paused = "paused" if party.paused else "unpaused"
        yield f"party {party.id} {party.kyc} {party.sanction} {paused}"
    for method in world.methods:
        yield f"method {method.id} {'active' if method.is_active else 'disabled'}"
    for hold_id, subject in world.holds.items():
        yield f"hold {hold_id} {subject}"
