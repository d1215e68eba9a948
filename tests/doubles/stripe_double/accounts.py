"""Payees' accounts: made in v2, read in v1 and v2, verified, restricted; and balance settings.

Not sure of a real Stripe (no sandbox was asked): which fields v2 answers without `include`.
"""

import copy
from datetime import datetime, timedelta
from typing import Any, Final

from tests.doubles.stripe_double.trouble import StripeError, missing
from tests.doubles.stripe_double.world import PLATFORM, Ledger, Obj, World, merged

# Parts that come back null unless they are asked for.
INCLUDED: Final = frozenset(
    "configuration defaults future_requirements identity requirements".split()
)
LINK_LASTS: Final = timedelta(minutes=5)


class Accounts:
    """What Stripe does with accounts."""

    def __init__(self, world: World) -> None:
        """The platform's own account is there from the start."""
        self.world = world
        self._add(PLATFORM, {"dashboard": "full", "identity": {"country": "de"}}, status="active")

    def create(self, params: Obj) -> Obj:
        """A new account; it may receive nothing before it is verified (`verify`)."""
        identifier = self.world.new_id("account")
        self.world.ledgers[identifier] = Ledger(identifier)
        account = self._add(identifier, params, status="restricted")
        self._thin(identifier, "v2.core.account.created")
        return self.shown(account, params.get("include", ()))

    def _add(self, identifier: str, params: Obj, *, status: str) -> Obj:
        identity = params.get("identity", {})
        account: Obj = {
            "id": identifier,
            "object": "v2.core.account",
            "applied_configurations": sorted(params.get("configuration", {"recipient": {}})),
            "closed": False,
            "configuration": {"recipient": self._recipient(status, "provide_info")},
            "contact_email": params.get("contact_email"),
            "contact_phone": params.get("contact_phone"),
            "created": self.world.iso(),
            "dashboard": params.get("dashboard"),
            "defaults": self._defaults(params),
            "display_name": params.get("display_name"),
            "future_requirements": {"entries": []},
            "identity": {
                "country": identity.get("country"),
                "entity_type": identity.get("entity_type"),
            },
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "requirements": {"entries": []},
            "_status": status,
            "_payouts": status == "active",
            "_asked": [],
            "_deadline": None,
            "_disabled": None if status == "active" else "requirements.past_due",
            "_since": self.world.stamp,
        }
        self.world.ledgers[identifier].objects["v2"] = account
        if status != "active":
            self._ask(account, ["identity.individual.id_numbers", "external_account"], None)
        return account

    def _recipient(self, status: str, resolution: str) -> Obj:
        details = [] if status == "active" else [_why(resolution)]
        capability = {"status": status, "status_details": details}
        balance = {"stripe_transfers": dict(capability), "payouts": dict(capability)}
        return {"applied": True, "capabilities": {"stripe_balance": balance}}

    def _defaults(self, params: Obj) -> Obj:
        given = params.get("defaults", {})
        said = given.get("responsibilities", {})
        return {
            "currency": given.get("currency"),
            "locales": given.get("locales", []),
            "responsibilities": {
                "fees_collector": said.get("fees_collector", "stripe"),
                "losses_collector": said.get("losses_collector", "stripe"),
                "requirements_collector": "stripe",
            },
        }

    def _ask(self, account: Obj, asked: list[str], deadline: datetime | None) -> None:
        when = None if deadline is None else self.world.iso(deadline)
        status = "past_due" if deadline is None else "currently_due"
        if deadline is not None and deadline <= self.world.clock.now:
            status = "past_due"
        due: Obj = {"status": status}
        account["_asked"] = asked
        account["_deadline"] = int(deadline.timestamp()) if deadline and asked else None
        account["requirements"] = {
            "entries": [
                {
                    "awaiting_action_from": "user",
                    "description": what,
                    "errors": [],
                    "impact": {"restricts_capabilities": []},
                    "minimum_deadline": due,
                    "requested_reasons": [{"code": "routine_onboarding"}],
                }
                for what in asked
            ],
            "summary": {"minimum_deadline": {**due, "time": when}} if asked else None,
        }

    def one(self, identifier: str) -> Obj:
        """An account by id; StripeError (404) if there is none."""
        if identifier not in self.world.ledgers:
            raise missing("account", identifier)
        self.check_access(identifier)
        return self.world.ledgers[identifier].objects["v2"]

    def check_access(self, identifier: str) -> None:
        """StripeError (403) for an account that is none of ours, or no longer."""
        if not self.world.ledger(identifier).is_ours:
            message = f"The provided key does not have access to account '{identifier}'"
            raise StripeError(403, "account_invalid", message)

    def deauthorize(self, identifier: str) -> None:
        """The payee takes our access to his account away."""
        application: Obj = {"id": "ca_sim", "object": "application", "name": "Holdfast"}
        self.world.emit(identifier, "account.application.deauthorized", application)
        self.world.ledger(identifier).is_ours = False

    def shown(self, account: Obj, include: Any) -> Obj:
        """As v2 shows it: the parts that were not asked for are null."""
        asked = {part.partition(".")[0] for part in include}
        shown = {name: copy.deepcopy(v) for name, v in account.items() if not name.startswith("_")}
        return shown | dict.fromkeys(INCLUDED - asked)

    def update(self, identifier: str, params: Obj) -> Obj:
        """Change what we know of a payee."""
        account = self.one(identifier)
        for name in ("contact_email", "contact_phone", "display_name", "dashboard"):
            if name in params:
                account[name] = params[name]
        if "metadata" in params:
            account["metadata"] = merged(account["metadata"], params["metadata"])
        for name in ("country", "entity_type"):
            if name in params.get("identity", {}):
                account["identity"][name] = params["identity"][name]
        self._thin(identifier, "v2.core.account.updated")
        return self.shown(account, params.get("include", ()))

    def close(self, identifier: str, params: Obj) -> Obj:
        """End an account whose balances are empty."""
        account = self.one(identifier)
        if any(
            money.available or money.pending
            for money in self.world.ledgers[identifier].money.values()
        ):
            raise StripeError(400, message="The account has a balance.")
        del params
        account["closed"] = True
        self._set(account, "rejected", payouts=False)
        self._thin(identifier, "v2.core.account.closed")
        return self.shown(account, ())

    def link(self, params: Obj) -> Obj:
        """Where a payee tells Stripe about himself."""
        self.one(params["account"])
        return {
            "object": "v2.core.account_link",
            "account": params["account"],
            "created": self.world.iso(),
            "expires_at": self.world.iso(self.world.clock.now + LINK_LASTS),
            "livemode": False,
            "url": f"https://connect.stripe.com/setup/s/{params['account']}",
            "use_case": params["use_case"],
        }

    def v1(self, identifier: str) -> Obj:
        """As v1 shows it."""
        account = self.one(identifier)
        active, asked = account["_status"] == "active", account["_asked"]
        return {
            "id": identifier,
            "object": "account",
            "capabilities": {"transfers": "active" if active else "inactive"},
            "charges_enabled": False,
            "country": (account["identity"]["country"] or "de").upper(),
            "created": account["_since"],
            "default_currency": account["defaults"]["currency"] or "eur",
            "details_submitted": active,
            "email": account["contact_email"],
            "metadata": dict(account["metadata"]),
            "payouts_enabled": account["_payouts"],
            "requirements": {
                "alternatives": [],
                "current_deadline": account["_deadline"],
                "currently_due": list(asked),
                "disabled_reason": account["_disabled"],
                "errors": [],
                "eventually_due": list(asked),
                "past_due": [] if active else list(asked),
                "pending_verification": [],
            },
            "type": "express",
        }

    def may_receive(self, identifier: str) -> bool:
        """Whether an account may be sent transfers."""
        return bool(self.one(identifier)["_status"] == "active")

    def may_pay_out(self, identifier: str) -> bool:
        """Whether an account may be paid out."""
        return bool(self.one(identifier)["_payouts"])

    def verify(
        self,
        identifier: str,
        *,
        status: str = "active",
        payouts: bool | None = None,
        asked: tuple[str, ...] = (),
        deadline: datetime | None = None,
    ) -> Obj:
        """What Stripe finds out about a payee (know your customer).

        Args:
            identifier: the account.
            status: active, pending, restricted or rejected.
            payouts: whether it is paid out; None: if it is active.
            asked: what Stripe still asks for.
            deadline: by when; None: it is past due.
        """
        account = self.one(identifier)
        self._ask(account, list(asked), deadline)
        self._set(account, status, payouts=status == "active" if payouts is None else payouts)
        self._thin(identifier, "v2.core.account[requirements].updated")
        return self.v1(identifier)

    def _set(self, account: Obj, status: str, *, payouts: bool) -> None:
        why = {"active": None, "rejected": "rejected.fraud"}.get(status, "requirements.past_due")
        account |= {"_status": status, "_payouts": payouts, "_disabled": why}
        resolution = "no_resolution" if status == "rejected" else "provide_info"
        account["configuration"]["recipient"] = self._recipient(status, resolution)
        identifier = account["id"]
        kind = "v2.core.account[configuration.recipient].capability_status_updated"
        for capability in ("stripe_balance.stripe_transfers", "stripe_balance.payouts"):
            self._thin(identifier, kind, {"updated_capability": capability})
        shown = self.v1(identifier)
        self.world.emit(identifier, "account.updated", shown)
        transfers: Obj = {
            "id": "transfers",
            "object": "capability",
            "account": identifier,
            "requested": True,
            "requested_at": account["_since"],
            "status": shown["capabilities"]["transfers"],
        }
        self.world.emit(identifier, "capability.updated", transfers)

    def _thin(self, identifier: str, kind: str, data: Obj | None = None) -> None:
        related = {
            "id": identifier,
            "type": "v2.core.account",
            "url": f"/v2/core/accounts/{identifier}",
        }
        self.world.emit_thin(kind, related, data=data)

    def settings(self, account: str, params: Obj | None = None) -> Obj:
        """When an account's money is paid out by itself; automatic, until it is set."""
        kept = self.world.ledger(account).settings
        if not kept:
            kept |= {
                "object": "balance_settings",
                "payments": {
                    "debit_negative_balances": True,
                    "payouts": {
                        "minimum_balance_by_currency": None,
                        "schedule": {"interval": "daily"},
                        "statement_descriptor": None,
                        "status": "enabled",
                    },
                    "settlement_timing": {"delay_days": self.world.settles_after.days},
                },
            }
        said = (params or {}).get("payments", {})
        payouts = said.get("payouts", {})
        kept["payments"]["payouts"] |= {
            name: payouts[name]
            for name in ("minimum_balance_by_currency", "schedule", "statement_descriptor")
            if name in payouts
        }
        if "debit_negative_balances" in said:
            kept["payments"]["debit_negative_balances"] = said["debit_negative_balances"]
        if params:
            self.world.emit(account, "balance_settings.updated", kept)
        return kept


def _why(resolution: str) -> Obj:
    code = {"no_resolution": "rejected_fraud"}.get(resolution, "requirements_past_due")
    return {"code": code, "resolution": resolution}
