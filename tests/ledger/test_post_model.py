"""`post` against a plain model of balances: any drafts, in any calls, the same answers."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from kernel.database import Tenant
from kernel.errors import Refusal
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, Posted
from ledger.proof import prove
from ledger.service import balances, post
from tests.ledger.drafts import bank, draft, entry, rolled_back, wallet

# Two currencies, both books, purses that run dry, and names that the chart does not have.
SOUND: Final = (
    bank(),
    bank("JPY"),
    *(wallet(name) for name in ("ann", "ben", "cem")),
    wallet("ann", "JPY"),
    account("custody.suspense", "EUR"),
    account("platform.bank", "EUR"),
    account("platform.deferred_fees", "EUR"),
)
WRONG: Final = (
    AccountKey("custody.purse", "ann", "EUR"),
    AccountKey("custody.wallet", "", "EUR"),
    AccountKey("custody.wallet", "ann", "ZZZ"),
)
MODEL_BOUND: Final = {"custody.wallet": 0, "custody.suspense": 0, "platform.deferred_fees": 0}
NO_BOUND: Final = 2**61
KNOWN_CURRENCIES: Final = frozenset({"EUR", "JPY"})
WANTS_SUBJECT: Final = frozenset({"custody.wallet"})

amounts = st.integers(-30, 30) | st.sampled_from([0, 1, -1, 100, -100])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Mostly balanced and of one book and currency; sometimes wrong in any way there is."""
    if draw(st.integers(0, 9)) == 0:
        keys = draw(st.lists(st.sampled_from(SOUND + WRONG), min_size=1, max_size=3))
    else:
        first = draw(st.sampled_from(SOUND))
        alike = [k for k in SOUND if (k.kind[:7], k.currency) == (first.kind[:7], first.currency)]
        keys = [first, *draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))]
    legs = [(key, draw(amounts)) for key in keys[:-1]]
    off = draw(st.sampled_from([0] * 15 + [1]))
    legs.append((keys[-1], off - sum(amount for _, amount in legs)))
    book = Book(keys[0].kind.partition(".")[0])
    other = Book.PLATFORM if book is Book.CUSTODY else Book.CUSTODY
    return entry(*legs, book=draw(st.sampled_from([book] * 15 + [other])))


drafts_of_one_call = st.lists(
    st.builds(lambda parts: draft(*parts), st.lists(entries(), max_size=3)), max_size=12
)


class Model:
    """The books as a dictionary of balances."""

    def __init__(self) -> None:
        self.balances: dict[AccountKey, int] = defaultdict(int)
        self.lines = 0

    def answer(self, wanted: Draft) -> str:
        """What `post` shall say, after which the balances have moved if it says yes."""
        for one in wanted.entries:
            if complaint := complain(one):
                return complaint
        after = dict(self.balances)
        for key, amount in (line for one in wanted.entries for line in one.lines):
            after[key] = after.get(key, 0) + amount
            if not -NO_BOUND <= after[key] <= MODEL_BOUND.get(key.kind, NO_BOUND):
                return "ledger.insufficient_funds"
        self.balances.update(after)
        self.lines += sum(len(one.lines) for one in wanted.entries)
        return "done"


def complain(one: Entry) -> str:
    """The first rule of form that an entry breaks; empty for none."""
    if len(one.lines) < 2:
        return "ledger.bad_entry"
    if one.currency not in KNOWN_CURRENCIES:
        return "money.unknown_currency"
    for key, amount in one.lines:
        if key.kind == "custody.purse" or bool(key.subject) != (key.kind in WANTS_SUBJECT):
            return "ledger.unknown_account_kind"
        if not key.kind.startswith(one.book.value) or key.currency != one.currency or amount == 0:
            return "ledger.bad_entry"
    return "ledger.unbalanced" if sum(line.amount_minor for line in one.lines) else ""


def codes(answers: Sequence[Posted | Refusal]) -> list[str]:
    return [answer.code if isinstance(answer, Refusal) else "done" for answer in answers]


def check_books(connection: Connection, model: Model, accepted: int) -> None:
    """The database holds what the model holds, to the line, and proves itself."""
    keys = [*SOUND, *model.balances]
    assert balances(connection, keys) == {key: model.balances[key] for key in keys}
    counts = text("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM line)")
    assert connection.execute(counts).one() == (accepted, model.lines)
    assert prove(connection).findings == ()


@settings(max_examples=60, deadline=None)
@given(calls=st.lists(drafts_of_one_call, min_size=1, max_size=4))
def test_post_answers_like_the_model(
    engine: Engine, tenant: Tenant, calls: list[list[Draft]]
) -> None:
    """However the drafts are cut into calls, each is answered as if it came after the last."""
    model = Model()
    with rolled_back(engine, tenant) as connection:
        given_codes = [code for call in calls for code in codes(post(connection, call))]

        assert given_codes == [model.answer(wanted) for call in calls for wanted in call]
        check_books(connection, model, given_codes.count("done"))


@settings(max_examples=25, deadline=None)
@given(drafts=drafts_of_one_call)
def test_a_call_is_the_same_as_its_drafts_one_by_one(
    engine: Engine, tenant: Tenant, drafts: list[Draft]
) -> None:
    """One call of many drafts and many calls of one draft end in the same answers and chains."""
    chains = text(
        "SELECT code, account_seq, amount_minor, balance_after_minor FROM line"
        " JOIN account a ON a.id = account_id ORDER BY code, account_seq"
    )
    with rolled_back(engine, tenant) as connection:
        together = codes(post(connection, drafts))
        chains_together = connection.execute(chains).all()
    with rolled_back(engine, tenant) as connection:
        alone = [codes(post(connection, [one]))[0] for one in drafts]
        chains_alone = connection.execute(chains).all()

    assert together == alone
    assert chains_together == chains_alone
