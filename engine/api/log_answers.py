"""The shapes of answers about the log: checkpoints and proofs."""

from typing import Annotated

from pydantic import Field

from engine.api.answers import Answer, Number, TimeText

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""32 bytes in hexadecimal."""


class CheckpointAnswer(Answer):
    """The log's first `size` events have this Merkle root; `note` is the signed note that says so.

    Asked for as text/plain, the note alone comes.
    """

    size: Number
    root: Hash
    note: str
    signed_at: TimeText


class ProofAnswer(Answer):
    """That an event is in the log: an RFC 9162 inclusion proof for leaf `journal_no` - 1."""

    journal_no: Number
    event_id: Number
    leaf_hash: Hash
    size: Number
    root: Hash
    proof: list[Hash]


class ConsistencyAnswer(Answer):
    """That the log only grew: an RFC 9162 consistency proof between two sizes."""

    from_size: Number
    from_root: Hash
    to_size: Number
    to_root: Hash
    proof: list[Hash]
