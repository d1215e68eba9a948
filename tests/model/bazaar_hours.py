"""Hours of the market: logged, invoiced, charged, disputed by the line, advanced, written off."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from escrow import service, service_hourly_lines, service_hourly_run
from escrow.commands_hourly import (
    AddHours,
    ChangeHours,
    EditTime,
    EntryCommand,
    HourlyOffer,
    Interval,
    LogTime,
    ProposeHours,
    TermCommand,
    WeekCommand,
)
from escrow.model_hourly import Source
from escrow.model_lines import DisputeLine, LineCommand, ProposeLine, ServeLine
from escrow.model_runs import RunCommand, StartTime
from kernel.ids import new_id
from kernel.principals import Actor
from tests.model import parts
from tests.model.acts import act, one_of, within
from tests.model.bazaar import moment
from tests.model.bazaar_retainers import Retainers
from tests.model.model import WORKING
from tests.model.parts import Effect, Purse, untold
from tests.model.sight import Row, Sight

_MINUTE: Final = timedelta(minutes=1)
_OPEN_LINE: Final = ("opened", "awaiting_reply", "contested")
_UNANSWERED: Final = ("opened", "awaiting_reply")


class Hours(Retainers):
    """Worked, billed, paid."""

    def open_deal(self, number: int, dice: Random) -> None:
        super().open_deal(number, dice)
        if number == 2:
            self.new_hours(dice)

    def new_hours(self, dice: Random) -> None:
        client, payee = dice.choice(self.clients), dice.choice(self.payees)
        assert client.actor.party_id is not None
        assert payee.actor.party_id is not None
        offer = ProposeHours(
            actor=client.actor,
            contract_id=new_id(),
            client_id=client.actor.party_id,
            payee_id=payee.actor.party_id,
            currency=self.currency,
            offer=_offer(dice),
            terms=self.terms(dice),
        )
        self.run("propose_hours", service.propose_hours, offer, may=True)
        self.accept_them(self.now.one("hourly_term", term_id=str(offer.offer.term_id)), 0)

    def accept_them(self, term: Row, n: int) -> None:
        deal = self.deal_of(term)
        other = "client_id" if term["proposed_by"] == "payee" else "payee_id"
        actor = self.anyone(self.as_party(deal[other]), n)
        may = str(actor.party_id) == deal[other] and term["state"] == "proposed"
        command = TermCommand(actor=actor, term_id=UUID(term["term_id"]))
        known = may if deal["state"] in {"draft", "active"} else None
        self.run("accept_hours", service.accept_hours, command, may=known, told=term["state"])

    def on_term(self, n: int, *states: str) -> tuple[Row, Actor, Actor] | None:
        """A term with its client's and its payee's voice."""
        term = self.pick("hourly_term", lambda row: row["state"] in states, n)
        if not term:
            return None
        deal = self.deal_of(term)
        return term, self.as_party(deal["client_id"]), self.as_party(deal["payee_id"])

    # -- terms

    @act(weight=0.4)
    def propose_hours(self, n: int) -> None:
        if len(self.rows("hourly_term", lambda row: row["state"] == "active")) < 3:
            self.new_hours(Random(n))

    @act(weight=0.4)
    def add_hours(self, n: int) -> None:
        deal = self.pick("contract", lambda row: row["state"] == "active", n)
        if not deal:
            return
        actor = self.anyone(self.as_party(deal[("client_id", "payee_id")[n % 2]]), n)
        is_party = str(actor.party_id) in {deal["client_id"], deal["payee_id"]}
        may = None if is_party and deal["state"] == "active" else False
        command = AddHours(actor=actor, contract_id=UUID(deal["id"]), offer=_offer(Random(n)))
        self.run("add_hours", service.add_hours, command, may=may)

    @act(weight=3, when=lambda self: self.rows("hourly_term", lambda r: r["state"] == "proposed"))
    def accept_hours(self, n: int) -> None:
        if term := self.pick("hourly_term", lambda row: row["state"] == "proposed", n):
            self.accept_them(term, n)

    @act(weight=0.7, when=lambda self: self.rows("hourly_term"))
    def change_hours(self, n: int) -> None:
        if found := self.on_term(n, "active"):
            term, client, _ = found
            actor = self.anyone(client, n)
            command = ChangeHours(
                actor=actor, term_id=UUID(term["term_id"]), limit_minutes=60 * (10 + n % 50)
            )
            may = None if actor == client and term["state"] == "active" else False
            self.run("change_hours", service.change_hours, command, may=may)

    # -- entries

    @act(
        weight=8,
        when=lambda self: self.rows("hourly_term", lambda r: r["state"] == "active"),
        minutes=within(1, 700),
        ago=within(0, 3_000),
        source=one_of((Source.TRACKED, Source.TRACKED, Source.TRACKED, Source.MANUAL)),
    )
    def log_time(self, n: int, minutes: int, ago: int, source: Source) -> None:
        if found := self.on_term(n, "active"):
            term, _, payee = found
            actor = self.anyone(payee, n)
            ended_at = self.at.replace(second=0, microsecond=0) - ago * _MINUTE
            entry = Interval(
                entry_id=new_id(),
                started_at=ended_at - minutes * _MINUTE,
                ended_at=ended_at,
                source=source,
                memo="work" if n % 16 else "",
                activity=n % 101,
            )
            may = None if actor == payee and term["state"] == "active" else False
            command = LogTime(actor=actor, term_id=UUID(term["term_id"]), entries=(entry,))
            self.run("log_time", service.log_time, command, may=may)

    @act(weight=0.7, when=lambda self: self.rows("time_entry"))
    def edit_time(self, n: int) -> None:
        entry = self.pick("time_entry", lambda row: row["state"] == "logged", n)
        assert entry is not None
        actor = self.anyone(self.as_party(entry["payee_id"]), n)
        may = str(actor.party_id) == entry["payee_id"] and entry["state"] == "logged"
        command = EditTime(actor=actor, entry_id=UUID(entry["id"]), memo="another word")
        self.run("edit_time", service.edit_time, command, may=None if may else False)

    @act(weight=0.5, when=lambda self: self.rows("time_entry"))
    def delete_time(self, n: int) -> None:
        entry = self.pick("time_entry", lambda row: row["state"] == "logged", n)
        assert entry is not None
        actor = self.anyone(self.as_party(entry["payee_id"]), n)
        may = str(actor.party_id) == entry["payee_id"] and entry["state"] in {"logged", "late"}
        command = EntryCommand(actor=actor, entry_id=UUID(entry["id"]))
        self.run("delete_time", service.delete_time, command, may=None if may else False)

    @act(weight=4, when=lambda self: self.rows("time_entry", lambda r: r["state"] == "late"))
    def approve_late(self, n: int) -> None:
        entry = self.pick("time_entry", lambda row: row["state"] == "late", n)
        assert entry is not None
        client = self.as_party(self.deal_of(entry)["client_id"])
        actor = self.anyone(client, n)
        may = None if actor == client and entry["state"] == "late" else False
        command = EntryCommand(actor=actor, entry_id=UUID(entry["id"]))
        self.run("approve_late", service.approve_late, command, may=may)

    @act(weight=1.5, when=lambda self: self.rows("hourly_term", lambda r: r["state"] == "active"))
    def start_time(self, n: int) -> None:
        if found := self.on_term(n, "active"):
            term, _, payee = found
            actor = self.anyone(payee, n)
            may = None if actor == payee and term["state"] == "active" else False
            command = StartTime(actor=actor, term_id=UUID(term["term_id"]), run_id=new_id())
            self.run("start_time", service_hourly_run.start_time, command, may=may)

    @act(weight=5, when=lambda self: self.rows("time_run", lambda r: r["state"] == "running"))
    def end_run(self, n: int) -> None:
        run = self.pick("time_run", lambda row: row["state"] == "running", n)
        assert run is not None
        verb = ("stop_time", "stop_time", "discard_time")[n % 3]
        actor = self.anyone(self.as_party(run["payee_id"]), n)
        mine = str(actor.party_id) == run["payee_id"] and run["state"] == "running"
        command = RunCommand(actor=actor, run_id=UUID(run["id"]), memo="work", activity=80)
        self.run(verb, getattr(service_hourly_run, verb), command, may=None if mine else False)

    # -- money

    def paid(self, funding: Row, rail_fee: int) -> Effect:
        """P26; P29 where the week was advanced; released at once where its review is over."""
        effect = super().paid(funding, rail_fee)
        weeks = self.rows("work_week", lambda row: row["slot_id"] == funding["slot_id"])
        if not weeks or weeks[0]["state"] not in {"advanced", "unpaid"}:
            return effect
        slot = dict(self.now.one("slot", id=funding["slot_id"]))
        gross = fee = 0
        if weeks[0]["state"] == "advanced":
            claim = self.now.one("client_claim", week_id=weeks[0]["id"])
            gross, fee = claim["gross_minor"], claim["fee_minor"]
            effect.put("custody.escrow", gross, slot["id"])
            effect.to_platform(gross)
            effect.put("platform.deferred_fees", fee)
            effect.put("platform.claim_on_client", -gross - fee, claim["client_id"])
            effect.slot(slot["id"], held=-gross, released=gross, fee_deferred=-fee)
        slot["released_minor"] += gross
        slot["held_minor"] = funding["amount_minor"] - gross
        slot["fee_deferred_minor"] = funding["client_fee_minor"] - fee
        purse = Purse(self.now, slot, effect)
        purse.release(purse.held)
        return effect

    @act(weight=6, when=lambda self: self.rows("client_claim", lambda r: r["state"] == "open"))
    def write_off(self, n: int) -> None:
        claim = self.pick("client_claim", lambda row: row["state"] == "open", n)
        assert claim is not None
        actor = self.anyone(self.operators[(n // 16 + len(self.story)) % 3], n)
        week = self.now.one("work_week", id=claim["week_id"])
        slot = self.now.one("slot", id=week["slot_id"])
        is_second = claim["proposed_by"] not in {None, str(actor.principal_id)}
        may = actor.is_operator and week["state"] == "advanced"
        may = may and (claim["proposed_by"] is None or is_second)
        may = may and (not is_second or slot["state"] == "awaiting_funding")
        effect = parts.never_paid(self.now, claim, slot) if may and is_second else Effect()
        command = WeekCommand(actor=actor, week_id=UUID(week["id"]))
        self.run("write_off", service.write_off, command, may=may, effect=effect)

    # -- lines

    @act(weight=15, when=lambda self: self.rows("work_week", self._may_dispute))
    def dispute_line(self, n: int) -> None:
        week = self.pick("work_week", self._may_dispute, n)
        assert week is not None
        lines = self.rows("week_line", lambda row: row["week_id"] == week["id"])
        if not lines:
            return
        line = lines[n % len(lines)]
        client = self.as_party(self.deal_of(week)["client_id"])
        actor = self.anyone(client, n)
        slot = self.now.one("slot", id=week["slot_id"])
        known = self.rows("line_dispute", lambda row: row["week_id"] == week["id"])
        may = (
            actor == client
            and week["state"] == "in_review"
            and line["line_no"] not in {row["line_no"] for row in known}
            and self.at < moment(week["review_ends_at"])
            and slot["state"] in {*WORKING, "disputed"}
        )
        amount = min(line["amount_minor"], slot["held_minor"] - slot["disputed_minor"])
        effect = parts.frozen(slot, amount) if may else Effect()
        command = DisputeLine(
            actor=actor,
            line_dispute_id=new_id(),
            week_id=UUID(week["id"]),
            line_no=line["line_no"],
            reason="I was not told",
        )
        verb = service_hourly_lines.dispute_line
        known_may = None if may and not amount else may
        self.run("dispute_line", verb, command, may=known_may, effect=effect)

    def _may_dispute(self, week: Row) -> bool:
        """Whether its review runs and nobody has disputed a line of it."""
        known = {row["week_id"] for row in self.rows("line_dispute")}
        return week["state"] == "in_review" and week["id"] not in known

    def on_line(self, verb: str, line: Row, command: Any, *, may: object, effect: Any) -> None:
        run = getattr(service_hourly_lines, verb)
        self.run(verb, run, command, may=may, effect=effect, told=line["state"])

    @act(weight=10, when=lambda self: self.rows("line_dispute", _is_open))
    def answer_line(self, n: int) -> None:
        """Served, replied to, conceded, or withdrawn."""
        line = self.pick("line_dispute", _is_open, n)
        assert line is not None
        verb = ("serve_line", "serve_line", "reply_line", "concede_line", "withdraw_line")[
            (n // 16 + len(self.story)) % 5
        ]
        deal = self.deal_of(line)
        who = {
            "serve_line": self.operators[0],
            "withdraw_line": self.as_party(deal["client_id"]),
        }
        right = who.get(verb, self.as_party(deal["payee_id"]))
        actor = self.anyone(right, n)
        states = {
            "serve_line": ("opened",),
            "withdraw_line": _OPEN_LINE,
            "concede_line": _OPEN_LINE,
            "reply_line": _UNANSWERED,
        }[verb]
        is_right = actor.is_operator if verb == "serve_line" else actor == right
        may = is_right and line["state"] in states
        effect: Any = Effect()
        if may and verb in {"withdraw_line", "concede_line"}:
            effect = self._line_ends(line, line["amount_minor"] * (verb == "concede_line"))
        fields: dict[str, Any] = {"actor": actor, "line_dispute_id": UUID(line["id"])}
        command: Any = LineCommand(**fields, reason="as logged")
        if verb == "serve_line":
            command = ServeLine(**fields, channel="email", proof="delivery:1")
        self.on_line(verb, line, command, may=may, effect=effect)

    @act(
        weight=15, when=lambda self: self.rows("line_dispute", _is_contested), share=within(0, 100)
    )
    def judge_line(self, n: int, share: int) -> None:
        """One operator proposes what goes back, another approves."""
        line = self.pick("line_dispute", _is_contested, n)
        assert line is not None
        actor = self.anyone(self.operators[(n // 16 + len(self.story)) % 3], n)
        fields: dict[str, Any] = {"actor": actor, "line_dispute_id": UUID(line["id"])}
        is_right = actor.is_operator and line["state"] == "contested"
        proposed = line["proposed_refund_minor"]
        if proposed is None or n % 4 == 0:
            command = ProposeLine(
                **fields, refund_minor=line["amount_minor"] * share // 100, reason="seen"
            )
            self.on_line("propose_line", line, command, may=is_right, effect=Effect())
            return
        may = is_right and line["proposed_by"] != str(actor.principal_id)
        effect = self._line_ends(line, proposed) if may else Effect()
        command_too = LineCommand(**fields, reason="seen")
        self.on_line("approve_line", line, command_too, may=may, effect=effect)

    def _line_ends(self, line: Row, back: int) -> Effect:
        """P12 back, P27; past the review's end what is upheld is let go, in its own way."""
        week = self.now.one("work_week", id=line["week_id"])
        if self.at >= moment(week["review_ends_at"]):
            return untold("the review is over")
        effect = Effect()
        slot = self.now.one("slot", id=line["slot_id"])
        upheld = line["amount_minor"] - back
        effect.slot(slot["id"], disputed=-line["amount_minor"])
        effect.put("custody.escrow_disputed", upheld, slot["id"])
        effect.put("custody.escrow", -upheld, slot["id"])
        if back:
            Purse(self.now, slot, effect, held_in="custody.escrow_disputed").send_back(back)
        return effect

    # -- clocks

    def rings_line_reply(self, line_id: str) -> Callable[[Sight], Effect]:
        """Protected hours are upheld, the others go back."""
        line = self.now.one("line_dispute", id=line_id)
        effect = self._line_ends(line, line["amount_minor"] - line["protected_minor"])

        def said(after: Sight) -> Effect:
            state = after.one("line_dispute", id=line_id)["state"]
            return effect if state != line["state"] else Effect()

        return said

    def rings_week_review_end(self, week_id: str) -> Callable[[Sight], Effect]:
        before = self.now
        week = before.one("work_week", id=week_id)

        def said(after: Sight) -> Effect:
            state = after.one("work_week", id=week_id)["state"]
            slot = before.one("slot", id=week["slot_id"])
            effect = Effect()
            if state == "advanced" != week["state"]:
                return parts.advanced(before, week)
            if week["state"] == "in_review":
                lines = [row["week_id"] for row in before.all_of("line_dispute")]
                if week_id in lines:
                    return untold("lines in dispute")
                if state == "released":
                    Purse(before, slot, effect).release(slot["held_minor"])
            return effect

        return said


def _offer(dice: Random) -> HourlyOffer:
    return HourlyOffer(
        term_id=new_id(),
        rate_minor=dice.choice((4_000, 3_333, 99)),
        limit_minutes=dice.choice((600, 2_400)),
        week_zone=dice.choice(("UTC", "UTC", "Europe/Berlin")),
    )


def _is_open(row: Row) -> bool:
    return row["state"] in _OPEN_LINE


def _is_contested(row: Row) -> bool:
    return bool(row["state"] == "contested")
