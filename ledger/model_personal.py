"""Sealed personal data: bytes that one party's key opens, and nothing else.

A blob is the id of its key, a nonce of 96 bits and the AES-256-GCM of its text. It is bound to
what it stands in, so that it cannot be moved into another row.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.errors import Broken

KEY_BYTES: Final = 32
_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class PersonalKey:
    """The key of one party; whoever takes it away has erased all that it opens."""

    id: UUID
    party_id: UUID
    secret: bytes = field(repr=False)
    made_at: datetime

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """The text, readable only with this key and only where it is said to stand."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.secret).encrypt(nonce, text.encode(), bound_to.encode())
        return self.id.bytes + nonce + sealed

    def open(self, sealed: bytes, *, bound_to: str) -> str:
        """The text again; Broken where the bytes were changed or moved."""
        assert key_id(sealed) == self.id
        nonce, text = sealed[_ID_BYTES:][:_NONCE_BYTES], sealed[_ID_BYTES + _NONCE_BYTES :]
        try:
            return AESGCM(self.secret).decrypt(nonce, text, bound_to.encode()).decode()
        except InvalidTag:
            raise Broken("sealed personal data were changed", bound_to=bound_to) from None

    def print_of(self, text: str) -> bytes:
        """A fingerprint: equal for equal texts of this party, and telling nothing else."""
        return hmac.digest(self.secret, b"print:" + text.encode(), "sha256")


def key_id(sealed: bytes) -> UUID:
    """Which key opens these bytes."""
    return UUID(bytes=sealed[:_ID_BYTES])
