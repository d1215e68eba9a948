"""Linked posts: a chain of drafts that is written whole or not at all, as one command.

Chains of one list may fund each other as drafts do, and a broken one does not touch its
neighbours. There is no call for it over HTTP: there money moves by what happened to a deal, a
payout or a reservation, and by journals that two people sign. Who embeds the ledger calls
`post_chains`, gives it to a group commit as a door, or calls `ledger.service.post` with `chains`.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from ledger.commands import PostLinked
from ledger.model import Posted
from ledger.rules import MAX_EVENTS, BadEntry
from ledger.rules_linked import LinkBroken
from ledger.service import post


def post_chains(
    connection: Connection, commands: Sequence[PostLinked], *, at: datetime
) -> list[Outcome]:
    """Post each command's drafts together; one outcome each.

    Refused as the first refused draft is, as `ledger.service.post` says, with its place in the
    chain as `link`, from 1. A chain has 1 to 16,384 drafts: others are `ledger.bad_entry`.
    """
    assert at.tzinfo is not None
    sound = [c for c in commands if 1 <= len(c.drafts) <= MAX_EVENTS]
    ends = list(accumulate((len(command.drafts) for command in sound), initial=0))
    chains = [range(ends[i], ends[i + 1]) for i in range(len(sound))]
    answers = post(connection, [d for c in sound for d in c.drafts], chains=chains)
    found = iter([_outcome(answers[chain.start : chain.stop]) for chain in chains])
    return [
        next(found)
        if 1 <= len(command.drafts) <= MAX_EVENTS
        else refused(BadEntry(drafts=len(command.drafts)))
        for command in commands
    ]


def _outcome(answers: Sequence[Posted | Refusal]) -> Outcome:
    """What became of a chain, from the answers to its drafts."""
    for link, answer in enumerate(answers, 1):
        if isinstance(answer, Refusal) and not isinstance(answer, LinkBroken):
            return Outcome(answer.code, {**answer.facts, "link": link})
    posted = [answer for answer in answers if isinstance(answer, Posted)]
    assert len(posted) == len(answers)
    return done(
        events=[
            {"event_id": str(each.event_id), "recorded_at": each.recorded_at.isoformat()}
            for each in posted
        ]
    )
