"""A chargeback on the real database, driven by short words; it stands on the stage of the deal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from escrow import service_chargeback, store, store_contest
from escrow.model_chargeback import (
    Chargeback,
    ChargebackCommand,
    ChargebackState,
    Direction,
    FileStatement,
    Movement,
    Piece,
    TellPayee,
    Word,
)
from kernel.commands import Outcome
from kernel.principals import RAIL, Actor
from tests.escrow.stage import Stage, prove_books

NETWORK_FEE = 1_500
_NO_ID = UUID(int=0)


@dataclass
class Bank:
    """The client's bank, and one chargeback of the stage's payment; 103.00 unless said else."""

    stage: Stage
    ref: str = "dp_1"
    amount_minor: int = 10_300
    heard: int = 0
    funding_id: UUID = _NO_ID

    def __post_init__(self) -> None:
        if not self.funding_id.int:
            self.funding_id = self.stage.funding_id

    @property
    def chargeback(self) -> Chargeback:
        found = store_contest.find_by_ref(
            self.stage.connection, rail="simulated", rail_ref=self.ref
        )
        assert found is not None
        return store_contest.find_chargebacks(self.stage.connection, [found])[0]

    @property
    def pieces(self) -> list[Piece]:
        return store_contest.list_pieces(self.stage.connection, self.chargeback.id)

    def word(
        self,
        state: str = "",
        *,
        at: datetime | None = None,
        due_by: datetime | None = None,
        movement: Movement | None = None,
    ) -> Word:
        return Word(
            actor=RAIL,
            rail="simulated",
            rail_ref=self.ref,
            funding_id=self.funding_id,
            currency=self.stage.currency,
            amount_minor=self.amount_minor,
            occurred_at=at or self.stage.now,
            state=ChargebackState(state) if state else None,
            reason="fraudulent",
            due_by=due_by,
            movement=movement,
        )

    def hear(self, *words: Word) -> Outcome:
        outcomes = service_chargeback.hear_chargebacks(
            self.stage.connection, words, at=self.stage.now
        )
        return outcomes[-1]

    def says(
        self, state: str, *, at: datetime | None = None, due_by: datetime | None = None
    ) -> Outcome:
        return self.hear(self.word(state, at=at, due_by=due_by))

    def moves(
        self,
        direction: str,
        amount: int,
        *,
        ref: str = "",
        disputed: int | None = None,
        fee: int = 0,
    ) -> Outcome:
        """A balance transaction; a new one unless its name is given."""
        return self.hear(self.movement(direction, amount, ref=ref, disputed=disputed, fee=fee))

    def movement(
        self,
        direction: str,
        amount: int,
        *,
        ref: str = "",
        disputed: int | None = None,
        fee: int = 0,
        at: datetime | None = None,
    ) -> Word:
        """The word of a balance transaction."""
        self.heard += 1
        movement = Movement(
            "simulated",
            ref or f"{self.ref}_txn_{self.heard}",
            UUID(int=0),
            Direction(direction),
            amount,
            amount if disputed is None else disputed,
            fee,
            at or self.stage.now,
            self.stage.now,
        )
        return self.word(movement=movement, at=at)

    def takes(self, amount: int | None = None, *, fee: int = NETWORK_FEE, ref: str = "") -> Outcome:
        return self.moves("withdrawn", amount or self.amount_minor, fee=fee, ref=ref)

    def gives(self, amount: int | None = None, *, ref: str = "") -> Outcome:
        return self.moves("reinstated", amount or self.amount_minor, ref=ref)

    def tell(self, actor: Actor | None = None, *, channel: str = "email") -> Outcome:
        command = TellPayee(
            actor=actor or self.stage.operator,
            chargeback_id=self.chargeback.id,
            channel=channel,
            proof="delivery:1",
        )
        return service_chargeback.tell_payee(self.stage.connection, [command], at=self.stage.now)[0]

    def file(self, actor: Actor, reference: str = "chat:1", sha256: str = "ab" * 32) -> Outcome:
        command = FileStatement(
            actor=actor,
            chargeback_id=self.chargeback.id,
            reference=reference,
            sha256=sha256,
        )
        return service_chargeback.file_statement(
            self.stage.connection, [command], at=self.stage.now
        )[0]

    def submit(self, actor: Actor | None = None, *, version: int | None = None) -> Outcome:
        command = ChargebackCommand(
            actor=actor or self.stage.operator,
            chargeback_id=self.chargeback.id,
            version=version,
        )
        return service_chargeback.submit_evidence(
            self.stage.connection, [command], at=self.stage.now
        )[0]

    def opened(self, *, days: int = 14) -> "Bank":
        """The bank waits for our answer, and has taken all of it."""
        due_by = self.stage.now + timedelta(days=days)
        assert self.says("needs_response", due_by=due_by).is_done
        assert self.takes().is_done
        return self


def prove(stage: Stage) -> None:
    """The books hold; what payees owe and have reserved is what claims and pieces say."""
    connection = stage.connection
    prove_books(connection)
    for question, found in (
        ("SELECT sum(remaining_minor) FROM claim", "platform.claim_on_payee"),
        (
            "SELECT -sum(amount_minor - lifted_minor - taken_minor) FROM chargeback_reserve",
            "custody.earned_reserved",
        ),
        (
            (
                "SELECT (SELECT coalesce(sum(money_minor + fee_minor - back_money_minor"
                " - back_fee_minor), 0) FROM chargeback_piece"
                " WHERE source <> 'held' AND NOT is_lost)"
                " - coalesce(sum(ahead_minor), 0) FROM chargeback"
            ),
            "platform.chargebacks_contested",
        ),
        (
            (
                "SELECT -sum(r.gross_minor - r.commission_minor - r.taken_net_minor)"
                " FROM release r WHERE r.state = 'pending'"
            ),
            "custody.earned_pending",
        ),
    ):
        rows = connection.exec_driver_sql(question).scalar_one() or 0
        booked = connection.exec_driver_sql(
            "SELECT sum(balance_minor) FROM account WHERE kind = %s", (found,)
        ).scalar_one()
        assert (booked or 0) == rows, found
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


def open_holds(stage: Stage, slot_id: UUID | None = None) -> list[str]:
    rows = stage.connection.exec_driver_sql(
        "SELECT kind FROM hold WHERE subject = %s AND lifted_at IS NULL ORDER BY kind",
        (f"slot:{slot_id or stage.slot_id}",),
    )
    return list(rows.scalars())


def funding_of(stage: Stage, funding_id: UUID | None = None) -> tuple[str, int, bool]:
    """(state, charged back, in dispute) of a payment."""
    found = store.find_fundings(stage.connection, [funding_id or stage.funding_id])[0]
    return found.state.value, found.charged_back_minor, found.in_dispute
