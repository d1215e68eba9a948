"""Jobs: rows in the caller's transaction, taken under a lease, settled by who holds it."""

from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import UUID, uuid4

import dramatiq
import pytest
from sqlalchemy import Connection, Engine

from kernel import jobs
from kernel.database import Tenant, enter, transaction
from kernel.jobs import Claimed

MINUTE = timedelta(minutes=1)
FIRST, SECOND = uuid4(), uuid4()


def message(number: int = 0, *, queue: str = "default") -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name=queue, actor_name="count", args=(number,), kwargs={}, options={}
    )


def take(
    connection: Connection,
    worker: UUID = FIRST,
    *,
    lease_for: timedelta = MINUTE,
    limit: int = 10,
    queue: str = "default",
) -> list[Claimed]:
    return jobs.claim(connection, queue=queue, worker=worker, limit=limit, lease_for=lease_for)


def numbers(claimed: list[Claimed]) -> list[int]:
    decoded: list[dramatiq.Message[None]] = [dramatiq.Message.decode(job.body) for job in claimed]
    return [one.args[0] for one in decoded]


def test_a_rolled_back_command_leaves_no_job(own_engine: Engine, tenant: Tenant) -> None:
    """A job is written in the command's own transaction: no commit, no job."""
    with own_engine.connect() as connection, connection.begin() as failing:
        enter(connection, tenant)
        jobs.add(connection, [message()])
        failing.rollback()

    with transaction(own_engine, tenant) as connection:
        assert take(connection) == []


def test_jobs_come_most_urgent_first_then_oldest(connection: Connection) -> None:
    """Priority goes before age, and a smaller number is more urgent."""
    urgent: dramatiq.Message[None] = dramatiq.Message(
        queue_name="default", actor_name="urgent", args=(9,), kwargs={}, options={}
    )

    jobs.add(connection, [message(1), message(2), urgent], priorities={"urgent": -1})

    assert numbers(take(connection)) == [9, 1, 2]


def test_a_delayed_job_waits_in_the_table(connection: Connection) -> None:
    """A job with a delay cannot be taken before it is over."""
    jobs.add(connection, [message()], delay=MINUTE)

    assert take(connection) == []
    assert jobs.count_waiting(connection, "default") == 1


def test_queues_do_not_mix(connection: Connection) -> None:
    """A worker of one queue takes no job of another."""
    jobs.add(connection, [message(1, queue="seal"), message(2, queue="webhooks")])

    assert numbers(take(connection, queue="webhooks")) == [2]


def test_two_workers_never_share_a_job(own_engine: Engine, tenant: Tenant) -> None:
    """While one worker's claim is not committed, another takes the next jobs without waiting."""
    with transaction(own_engine, tenant) as connection:
        jobs.add(connection, [message(n) for n in range(4)])

    with transaction(own_engine, tenant) as one, transaction(own_engine, tenant) as other:
        of_one = numbers(take(one, FIRST, limit=3))
        of_other = numbers(take(other, SECOND))

    assert sorted(of_one + of_other) == [0, 1, 2, 3]
    assert len(of_one) == 3


def test_a_job_whose_lease_ran_out_goes_to_another(leased: "Leased") -> None:
    """A worker that gives no sign of life loses its job, and the next one is told so."""
    (again,) = leased.take(SECOND)

    assert again.id == leased.job_id
    assert again.was_lost


def test_a_worker_does_not_take_its_own_job_twice(leased: "Leased") -> None:
    """A process that slept through its lease still has the job in memory: it goes to others."""
    with leased.transaction() as connection:
        taken = jobs.claim(
            connection,
            queue="default",
            worker=FIRST,
            limit=10,
            lease_for=MINUTE,
            holding=[leased.job_id],
        )

    assert taken == []


def test_a_worker_takes_again_what_it_never_heard_of(leased: "Leased") -> None:
    """When the answer to a claim was lost with its connection, the job is not lost with it."""
    (again,) = leased.take(FIRST)

    assert again.id == leased.job_id


def test_a_sign_of_life_keeps_the_lease(leased: "Leased") -> None:
    """Pushing the lease on keeps others away, even after it had run out."""
    with leased.transaction() as connection:
        kept = jobs.keep(connection, [(leased.job_id, FIRST)], lease_for=MINUTE)

    assert kept == {leased.job_id}
    assert leased.take(SECOND) == []


def test_only_the_holder_settles_a_job(leased: "Leased") -> None:
    """Whoever lost the lease can neither finish, bury, return nor keep the job."""
    leased.take(SECOND)
    late = (leased.job_id, FIRST)

    with leased.transaction() as connection:
        assert jobs.finish(connection, [late]) == 0
        assert jobs.bury(connection, {late: "too late"}) == 0
        assert jobs.keep(connection, [late], lease_for=MINUTE) == set()
        assert jobs.count_lost_start(connection, *late) == 0
        jobs.release(connection, [late])

    assert leased.take(uuid4()) == []
    with leased.transaction() as connection:
        assert jobs.finish(connection, [(leased.job_id, SECOND)]) == 1


def test_a_returned_job_is_free_at_once_and_not_suspect(leased: "Leased") -> None:
    """A worker that ends gives back what it did not begin."""
    with leased.transaction() as connection:
        jobs.release(connection, [(leased.job_id, FIRST)])

    (again,) = leased.take(SECOND)
    assert not again.was_lost


def test_the_dead_keep_their_reason_and_can_be_revived(connection: Connection) -> None:
    """A job that cannot be done moves to the dead with the reason, and back when asked."""
    jobs.add(connection, [message(7)])
    (job,) = take(connection)

    buried = jobs.bury(connection, {(job.id, FIRST): "ZeroDivisionError: division by zero"})
    dead = connection.exec_driver_sql("SELECT actor, why FROM job_dead").all()
    revived = jobs.revive(connection, [job.id])

    assert (buried, revived) == (1, 1)
    assert [tuple(row) for row in dead] == [("count", "ZeroDivisionError: division by zero")]
    assert numbers(take(connection)) == [7]


def test_starts_after_a_lost_worker_are_counted(leased: "Leased") -> None:
    """Only whoever holds the job counts, when it begins, and the count stays with the job."""
    for nth, worker in enumerate([SECOND, uuid4()], start=1):
        (job,) = leased.take(worker, lease_for=timedelta())
        with leased.transaction() as connection:
            assert jobs.count_lost_start(connection, job.id, worker) == nth


class Leased:
    """One job that FIRST took and whose lease has run out."""

    def __init__(self, engine: Engine, tenant: Tenant) -> None:
        self._place = (engine, tenant)
        with self.transaction() as connection:
            jobs.add(connection, [message()])
        (job,) = self.take(FIRST, lease_for=timedelta())
        self.job_id = job.id

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction of the tenant that commits."""
        return transaction(*self._place)

    def take(self, worker: UUID, *, lease_for: timedelta = MINUTE) -> list[Claimed]:
        """What this worker gets."""
        with self.transaction() as connection:
            return take(connection, worker, lease_for=lease_for)


@pytest.fixture
def leased(own_engine: Engine, tenant: Tenant) -> Leased:
    """A job whose lease has run out, in a database of the test's own."""
    return Leased(own_engine, tenant)
