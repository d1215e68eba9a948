"""Chains of drafts that are accepted or refused together. Pure.

A chain is a run of consecutive drafts. It is decided like any others, one draft after the other;
if one of them is refused, what the others had moved is taken back before the next is looked at,
so that a broken chain leaves no trace and does not touch its neighbours.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from kernel.errors import Broken, Refusal
from ledger.model import Draft
from ledger.rules import MAX_EVENTS, Accepted, Batch, Standing, decide

Answer = TypeVar("Answer")


class LinkBroken(Refusal):
    """Another draft of the same chain was refused, so this one is, too."""

    code = "ledger.link_broken"


def check_chains(chains: Sequence[range], drafts: int) -> None:
    """Broken unless the chains stand apart, in order, within the drafts, each within a batch."""
    last = 0
    for chain in chains:
        fits = last <= chain.start < chain.stop <= drafts and chain.step == 1
        if not fits or len(chain) > MAX_EVENTS:
            raise Broken("a chain is no run of drafts of its own", start=chain.start, of=drafts)
        last = chain.stop


def broken(answers: Sequence[Answer | Refusal]) -> list[Answer | Refusal]:
    """The answers of a chain: where one is a refusal, the first stays and all others follow it.

    `link` in their facts is the place of the refused draft in its chain, from 1.
    """
    for number, answer in enumerate(answers, 1):
        if isinstance(answer, Refusal):
            others = LinkBroken(link=number, because=answer.code)
            return [answer if each == number else others for each in range(1, len(answers) + 1)]
    return list(answers)


def batches(sound: list[int], chains: Sequence[range]) -> Iterator[list[int]]:
    """Cut the numbers of drafts into batches of at most 16,384, never within a chain."""
    if not chains:
        for start in range(0, len(sound), MAX_EVENTS):
            yield sound[start : start + MAX_EVENTS]
        return
    whole: dict[int, int] = {}
    for chain in chains:
        whole.update(dict.fromkeys(chain, chain.start))
    part: list[int] = []
    for run in _gather(sound, whole):
        if len(part) + len(run) > MAX_EVENTS:
            yield part
            part = []
        part += run
    if part:
        yield part


def within(part: Sequence[int], chains: Sequence[range]) -> list[range]:
    """The chains of one batch, counted by the places of their drafts in it."""
    if not chains:
        return []
    places = {number: place for place, number in enumerate(part)}
    return [
        range(places[chain.start], places[chain.start] + len(chain))
        for chain in chains
        if chain.start in places
    ]


def decide_linked(
    drafts: Sequence[Draft],
    standings: Mapping[str, Standing],
    batch: Batch,
    chains: Sequence[range],
) -> tuple[list[Accepted], list[int | Refusal]]:
    """What `ledger.rules.decide` says, with the drafts of a chain accepted or refused together."""
    accepted: list[Accepted] = []
    answers: list[int | Refusal] = []
    starts = {chain.start for chain in chains}
    for run in _runs(len(drafts), chains):
        part = drafts[run.start : run.stop]
        keys = _keys(part) if run.start in starts else set()
        before = [(standings[key], standings[key].newest_us) for key in keys]
        took, told = decide(part, standings, batch, first=len(accepted))
        if run.start in starts and len(took) < len(part):
            _take_back(took, before)
            took, told = [], broken(told)
        accepted += took
        answers += told
    return accepted, answers


def _runs(drafts: int, chains: Iterable[range]) -> Iterator[range]:
    """The chains and what stands between them, in order."""
    last = 0
    for chain in chains:
        if last < chain.start:
            yield range(last, chain.start)
        yield chain
        last = chain.stop
    if last < drafts:
        yield range(last, drafts)


def _gather(sound: Iterable[int], whole: Mapping[int, int]) -> Iterator[list[int]]:
    """Each draft by itself, those of a chain together."""
    run: list[int] = []
    for number in sound:
        if run and (number not in whole or whole.get(run[-1]) != whole[number]):
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _keys(drafts: Iterable[Draft]) -> set[str]:
    return {line.account for draft in drafts for entry in draft.entries for line in entry.lines}


def _take_back(took: Iterable[Accepted], before: Iterable[tuple[Standing, int]]) -> None:
    for *_, moves in took:
        for standing, amount, _, _ in moves:
            standing.balance_minor -= amount
            standing.line_count -= 1
    for standing, newest_us in before:
        standing.newest_us = newest_us
