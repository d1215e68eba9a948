"""The sealer's rounds: seal what is committed, have checkpoints signed, hand them to anchors.

Each tenant's log has its own lock, so that several sealers may run. Without a signer sealing goes
on; without an anchor signing does; what was missed is caught up.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from engine.anchors import Anchor, AnchorTrouble
from engine.signer import SignerAway, ask
from engine.store_locks import only_one
from kernel.database import Tenant, transaction
from kernel.errors import Broken, Refusal
from ledger import notes, seal, store_seal
from ledger.seal import Sealed
from ledger.store_seal import Stored

CHECKPOINT_S: Final = 60.0
INTERVAL_S: Final = 1.0
_ANCHORED_AT_ONCE: Final = 100
_RETRY_S: Final = 15.0

_log = structlog.get_logger(__name__)

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Puts one question to the signer; `engine.signer.ask` at a socket."""


class NothingSealed(Refusal):
    """The log is empty: there is nothing that a checkpoint could say."""

    code = "log.empty"


@dataclass(slots=True)
class Sealer:
    """Walks the tenants. A late or killed round loses nothing: what waits is a table."""

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    ask: Ask
    anchors: Sequence[Anchor] = ()
    interval_s: float = INTERVAL_S
    checkpoint_s: float = CHECKPOINT_S
    _signed_at: dict[str, float] = field(default_factory=dict)
    _troubled_until: dict[tuple[str, str], float] = field(default_factory=dict)

    def run_forever(self, stop: threading.Event) -> None:
        """Go round until `stop` is set; at once again while a tenant has more than a round."""
        while not stop.is_set():
            if not self.run_once(stop):
                stop.wait(self.interval_s)

    def run_once(self, stop: threading.Event) -> bool:
        """Look at each tenant once; whether one of them has more."""
        has_more = False
        for tenant in self.tenants():
            if stop.is_set():
                break
            try:
                has_more |= self._look_at(tenant)
            except (SQLAlchemyError, Broken) as trouble:
                _log.warning("sealer.round_failed", tenant=tenant.name, trouble=str(trouble))
        return has_more

    def _look_at(self, tenant: Tenant) -> bool:
        with only_one(self.engine, "seal", tenant) as is_ours:
            if not is_ours:
                return False
            done = seal_round(self.engine, tenant)
            if time.monotonic() >= self._signed_at.get(tenant.name, 0.0):
                self._signed_at[tenant.name] = time.monotonic() + self.checkpoint_s
                self._sign(tenant)
            self._anchor(tenant)
        return done.is_full

    def _sign(self, tenant: Tenant) -> None:
        try:
            stored = sign_newest(self.engine, tenant, self.ask)
        except NothingSealed:
            return
        except SignerAway as trouble:
            _log.warning("sealer.signer_away", tenant=tenant.name, trouble=str(trouble))
        except Refusal as refusal:
            _log.error("sealer.signer_refused", tenant=tenant.name, code=refusal.code)
        else:
            _log.info("sealer.signed", tenant=tenant.name, size=stored.size)

    def _anchor(self, tenant: Tenant) -> None:
        """Offer each anchor what it has no receipt of; one in trouble is let alone for a while."""
        for anchor in self.anchors:
            place = (tenant.name, anchor.name)
            if time.monotonic() < self._troubled_until.get(place, 0.0):
                continue
            try:
                keep_at(self.engine, tenant, anchor)
            except AnchorTrouble as trouble:
                self._troubled_until[place] = time.monotonic() + _RETRY_S
                _log.warning(
                    "sealer.anchor_trouble",
                    tenant=tenant.name,
                    anchor=anchor.name,
                    trouble=str(trouble),
                )


def signer_at(path: Path) -> Ask:
    """How to ask the signer at this socket."""
    return lambda request: ask(path, request)


def seal_round(engine: Engine, tenant: Tenant) -> Sealed:
    """Seal one round, committed."""
    with transaction(engine, tenant) as connection:
        return seal.seal(connection, at=datetime.now(UTC))


def seal_all(engine: Engine, tenant: Tenant) -> Sealed:
    """Seal round after round until nothing waits that was committed before; the last round."""
    while True:
        done = seal_round(engine, tenant)
        if not done.is_full:
            return done


def sign_newest(engine: Engine, tenant: Tenant, ask_signer: Ask) -> Stored:
    """Have the newest block signed, unless it is, and keep the note.

    Nothing waits for the signer inside a transaction. Refuses with `log.empty`, `signer.*`;
    raises SignerAway.
    """
    origin = notes.origin_of(tenant.name)
    with transaction(engine, tenant) as connection:
        head = store_seal.find_head(connection)
        known = store_seal.find_checkpoint(connection)
    if head.root is None:
        raise NothingSealed
    if known is not None and known.size == head.size:
        return known
    last = ask_signer({"do": "last", "origin": origin})
    proof: list[bytes] = []
    if 0 < last["size"] < head.size:
        with transaction(engine, tenant) as connection:
            proof = seal.consistency(connection, old_size=last["size"], new_size=head.size)
    wanted = {"do": "sign", "origin": origin, "size": head.size, "root": head.root.hex()}
    answer = ask_signer(wanted | {"proof": [each.hex() for each in proof]})
    signed = notes.parse(answer["note"])
    if signed != notes.Checkpoint(origin, head.size, head.root):
        raise Broken("the signer signed something else", size=signed.size, wanted=head.size)
    stored = Stored(head.size, head.root, answer["note"], datetime.now(UTC))
    with transaction(engine, tenant) as connection:
        store_seal.add_checkpoint(connection, stored)
    return stored


def keep_at(engine: Engine, tenant: Tenant, anchor: Anchor) -> int:
    """Hand an anchor what it has no receipt of, and keep the receipts; how many notes it took."""
    with transaction(engine, tenant) as connection:
        waiting = store_seal.list_unanchored(connection, anchor.name, limit=_ANCHORED_AT_ONCE)
    for stored in waiting:
        receipt = anchor.keep(stored.note)
        with transaction(engine, tenant) as connection:
            store_seal.add_receipt(
                connection, stored.size, anchor=anchor.name, receipt=receipt, at=datetime.now(UTC)
            )
    return len(waiting)
