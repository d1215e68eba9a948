"""What holds do to the clocks of slots and releases: stop them, and let them run on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from escrow import store
from escrow.service_batch import CLOCK_KINDS
from kernel import timers

SHORTEST_REVIEW: Final = timedelta(hours=72)
"""After a hold a review has at least this long left, or its full length if that is shorter."""


def pause_clocks(connection: Connection, subjects: Sequence[str], *, at: datetime) -> int:
    """Stop the clocks of subjects that a hold was placed on; call it with the placing.

    A subject is a slot, a contract or a party; the clocks are those of its slots and releases.
    """
    concerned = store.list_clock_subjects(connection, subjects)
    return timers.pause(connection, concerned, at=at, kinds=CLOCK_KINDS)


def resume_clocks(connection: Connection, subjects: Sequence[str], *, at: datetime) -> int:
    """Let clocks run on after a hold was lifted, unless another hold still stands.

    A review has at least 72 hours left, or its full length if that is shorter; all else runs on
    for what remained of it (domain/escrow.md 2.2). A review stays stopped while the client's
    refund request is open.
    """
    concerned = store.list_clock_subjects(connection, subjects)
    free = sorted(set(concerned) - store.list_held_subjects(connection, concerned))
    floors = {
        subject: min(SHORTEST_REVIEW, length)
        for subject, length in store.list_review_lengths(connection, free).items()
    }
    others = [kind for kind in CLOCK_KINDS if kind != "escrow.auto_release"]
    running = timers.resume(connection, free, at=at, kinds=others)
    reviews = sorted(floors)
    return running + timers.resume(
        connection, reviews, at=at, floors=floors, kinds=["escrow.auto_release"]
    )
