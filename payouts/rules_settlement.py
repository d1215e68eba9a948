"""What a settlement is decided by: pure, nothing here reads or writes."""

from typing import Final

from payouts.model_settlement import Mode, Position, ProcessorPosition, Settlement, Transfer
from rails.model import Capabilities, RailAccount

_PROCESSOR: Final = RailAccount.PROCESSOR_AVAILABLE.value
_BANK: Final = RailAccount.CUSTODY_BANK.value
_PLATFORM_BANK: Final = RailAccount.PLATFORM_BANK.value


def default_mode(able: Capabilities) -> Mode:
    """Whether money lands where no row says so: it stays where payees are paid from it.

    Source: decision 0013, Treasury.
    """
    return Mode.LAND if able.separate_payout else Mode.STAY


def settle_currency(position: Position, *, must_land: frozenset[str] = frozenset()) -> Settlement:
    """What one currency needs so that nothing is due from the platform and refunds can be paid.

    First what both books owe each other is set off. Then the platform tops up what it still owes,
    as far as its bank goes. A processor keeps what its promised refunds and payouts need and its
    floor, or gets the promised part from the custody bank; the rest of it lands in the bank, or
    stays until the bank needs it. Earned fees are swept last, from what the bank holds beyond
    promised payouts. What earlier settlements have under way is never moved twice. `must_land`
    are accounts whose time for keeping money is over.

    Source: domain/escrow.md 2.10, P02 to P04; decision 0013.
    """
    way = position.under_way
    owed_minor = position.due_from_platform_minor - way.get((_PLATFORM_BANK, _BANK, ""), 0)
    earned_minor = position.due_to_platform_minor - way.get((_BANK, _PLATFORM_BANK, ""), 0)
    set_off_minor = max(0, min(owed_minor, earned_minor))
    owed_minor = max(0, owed_minor - set_off_minor)
    earned_minor = max(0, earned_minor - set_off_minor)

    own_minor = position.platform_bank_minor - position.leaving(_PLATFORM_BANK)
    top_up_minor = min(owed_minor, max(0, own_minor))
    bank_minor = position.bank_minor - position.leaving(_BANK) + top_up_minor
    wanted_minor = position.payouts_minor + earned_minor
    moves, short_at = _between_processors_and_bank(position, bank_minor, wanted_minor, must_land)
    bank_minor += sum(move.amount_minor * (1 if move.target == _BANK else -1) for move in moves)
    sweep_minor = min(earned_minor, max(0, bank_minor - position.payouts_minor))
    transfers = (
        Transfer(_PLATFORM_BANK, _BANK, top_up_minor),
        *moves,
        Transfer(_BANK, _PLATFORM_BANK, sweep_minor),
    )
    return Settlement(
        currency=position.currency,
        set_off_minor=set_off_minor,
        transfers=tuple(transfer for transfer in transfers if transfer.amount_minor),
        shortfall_minor=owed_minor - top_up_minor,
        postponed_minor=earned_minor - sweep_minor,
        short_at=short_at,
    )


def _between_processors_and_bank(
    position: Position, bank_minor: int, wanted_minor: int, must_land: frozenset[str]
) -> tuple[list[Transfer], dict[str, int]]:
    """Transfers from processors to the bank, then the other way, and what stays short where.

    Money that may stay is called for only as far as the bank lacks `wanted_minor`, from one
    account after the other in the order of their names.
    """
    spare = {each.rail_account: _spare(position, each) for each in position.processors}
    for_others = sum(max(0, -over) for over, _ in spare.values())
    # A real processor's money is days on its way: what was called for yesterday counts as there.
    landing_minor = position.leaving(_PROCESSOR)
    moves: list[Transfer] = []
    for each in sorted(position.processors, key=lambda one: (one.mode, one.rail_account)):
        name = each.rail_account
        _, free_minor = spare[name]
        if each.mode is Mode.STAY and name not in must_land:
            lacking_minor = wanted_minor + for_others - bank_minor - landing_minor
            free_minor = min(free_minor, max(0, lacking_minor))
        if free_minor > 0:
            moves.append(Transfer(_PROCESSOR, _BANK, free_minor, name))
            bank_minor += free_minor
    short_at: dict[str, int] = {}
    for name, (over_minor, _) in sorted(spare.items()):
        lend_minor = min(max(0, -over_minor), max(0, bank_minor))
        if lend_minor:
            moves.append(Transfer(_BANK, _PROCESSOR, lend_minor, name))
            bank_minor -= lend_minor
        if -over_minor > lend_minor:
            short_at[name] = -over_minor - lend_minor
    return moves, short_at


def _spare(position: Position, each: ProcessorPosition) -> tuple[int, int]:
    """What a processor has beyond its promises (below zero: lacks), and what of it may leave."""
    there_minor = each.available_minor - position.leaving(_PROCESSOR, each.rail_account)
    over_minor = there_minor + position.coming(each.rail_account) - each.promised_minor
    return over_minor, max(0, min(over_minor - each.floor_minor, there_minor))
