"""M-Pesa behind HTTP: STK push and its query, B2C v3, and the status query with late answers.

Daraja publishes no specification; what is asked of a request stands in `FIELDS`, after its pages.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.doubles.frame import (
    Clock,
    Deliveries,
    Fault,
    Faults,
    Frame,
    Message,
    Request,
    Response,
    as_json,
)

Json = dict[str, Any]

BEGIN: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONSUMER: Final = ("consumer-of-tests", "secret-of-tests")
SHORTCODE: Final = "600997"
PASSKEY: Final = "passkey-of-tests"
INITIATOR: Final = ("operator", "credential-of-tests")

_PHONE: Final = r"254[17][0-9]{8}"
_URL: Final = r"https://[a-z./0-9A-Z_-]{10,250}"
_SIGNED: Final = {"BusinessShortCode": SHORTCODE, "Password": r".+", "Timestamp": r"[0-9]{14}"}

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "/mpesa/stkpush/v1/processrequest": {
        **_SIGNED,
        "TransactionType": "CustomerPayBillOnline",
        "Amount": r"[1-9][0-9]{0,5}",
        "PartyA": _PHONE,
        "PartyB": SHORTCODE,
        "PhoneNumber": _PHONE,
        "CallBackURL": _URL,
        "AccountReference": r"[A-Za-z0-9]{1,12}",
        "TransactionDesc": r".{1,13}",
    },
    "/mpesa/stkpushquery/v1/query": {**_SIGNED, "CheckoutRequestID": r"ws_CO_\w+"},
    "/mpesa/b2c/v3/paymentrequest": {
        "OriginatorConversationID": r"[0-9A-Za-z_-]{8,60}",
        "InitiatorName": INITIATOR[0],
        "SecurityCredential": INITIATOR[1],
        "CommandID": "BusinessPayment|SalaryPayment|PromotionPayment",
        "Amount": r"[1-9][0-9]{0,5}",
        "PartyA": SHORTCODE,
        "PartyB": _PHONE,
        "Remarks": r".{2,100}",
        "QueueTimeOutURL": _URL,
        "ResultURL": _URL,
    },
    "/mpesa/transactionstatus/v1/query": {
        "Initiator": INITIATOR[0],
        "SecurityCredential": INITIATOR[1],
        "CommandID": "TransactionStatusQuery",
        "TransactionID": r"\w{0,12}",
        "OriginalConversationID": r"[0-9A-Za-z_-]{8,60}",
        "PartyA": SHORTCODE,
        "IdentifierType": "4",
        "ResultURL": _URL,
        "QueueTimeOutURL": _URL,
        "Remarks": r".{1,100}",
        "Occasion": r".{0,100}",
    },
}


class MpesaDouble:
    """A whole M-Pesa with one shortcode. Money is in whole shillings here.

    `ends` says by phone with which result code a payment to or from it ends; 0 if not named.
    """

    def __init__(self, now: datetime = BEGIN) -> None:
        self.clock = Clock(now)
        self.faults = Faults()
        self.deliveries = Deliveries(self.clock)
        self.frame = Frame(self, clock=self.clock, faults=self.faults)
        self.breaches: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.errors: dict[str, tuple[int, str, str]] = {}
        self.pushes: dict[str, Json] = {}
        self.payments: dict[str, Json] = {}
        self.ends: dict[str, int] = {}
        self.balance = 0
        self.tokens = 0
        self._good_tokens: set[str] = set()
        self._count = 0
        self._works: Mapping[str, Callable[[Json], Response]] = {
            "/mpesa/stkpush/v1/processrequest": self._push,
            "/mpesa/stkpushquery/v1/query": self._push_query,
            "/mpesa/b2c/v3/paymentrequest": self._pay,
            "/mpesa/transactionstatus/v1/query": self._status_query,
        }

    # What the frame asks

    def enter(self, request: Request) -> Response | None:
        self.asked.append((request.method, request.path))
        return None

    def leave(self, request: Request) -> None:
        pass

    def trouble(self, fault: Fault, request: Request) -> Response:
        del request
        if fault is Fault.RATE_LIMIT:
            return _error(500, "500.003.02", "Error Occurred: Spike Arrest Violation")
        if fault is Fault.LOCK_TIMEOUT:
            words = "Unable to lock subscriber, a transaction is already in process"
            return _error(500, "500.001.1001", words)
        return _error(500, "500.003.1001", "Internal Server Error")

    def control(self, verb: str, said: Mapping[str, Any]) -> Any:
        if verb != "answer":
            raise KeyError(verb)
        self.answer_push(said["checkout"], code=said.get("code", 0))
        return {}

    def answer(self, request: Request) -> Response:
        if request.path == "/oauth/v1/generate":
            return self._token(request)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self._good_tokens:
            return _error(404, "404.001.03", "Invalid Access Token")
        for part, (status, code, words) in self.errors.items():
            if part in request.path:
                return _error(status, code, words)
        said = json.loads(request.body)
        wrong = self._wrong(request, said)
        if wrong:
            self.breaches.append(f"{request.path}: {wrong}")
            return _error(400, "400.002.02", f"Bad Request - Invalid {wrong}")
        return self._works[request.path](said)

    # Inside

    def revoke_tokens(self) -> None:
        self._good_tokens.clear()

    def _token(self, request: Request) -> Response:
        good = base64.b64encode(":".join(CONSUMER).encode()).decode()
        if request.headers.get("authorization") != f"Basic {good}" or request.method != "GET":
            return _error(400, "400.008.01", "Invalid Authentication passed")
        self.tokens += 1
        self._good_tokens = {f"token{self.tokens}"}
        return as_json({"access_token": f"token{self.tokens}", "expires_in": "3599"})

    def _wrong(self, request: Request, said: Json) -> str:
        """The field that is missing, unknown, no text or not as it should be."""
        fields = FIELDS.get(request.path)
        if fields is None or request.method != "POST":
            return "path"
        for name in fields.keys() ^ said.keys():
            return name
        for name, pattern in fields.items():
            value = said[name]
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                return name
        if "Password" in said:
            right = f"{SHORTCODE}{PASSKEY}{said['Timestamp']}"
            if base64.b64decode(said["Password"]).decode() != right:
                return "Password"
        return ""

    def _push(self, said: Json) -> Response:
        self._count += 1
        name = f"ws_CO_0203202612{self._count:06d}"
        self.pushes[name] = {"said": said, "code": None, "receipt": "", "amount": said["Amount"]}
        self.clock.after(timedelta(minutes=3), lambda: self._expire(name))
        return as_json(
            {
                "MerchantRequestID": f"m-{self._count}",
                "CheckoutRequestID": name,
                "ResponseCode": "0",
                "ResponseDescription": "Success. Request accepted for processing",
                "CustomerMessage": "Success. Request accepted for processing",
            }
        )

    def _expire(self, name: str) -> None:
        if self.pushes[name]["code"] is None:
            self.answer_push(name, code=1037)

    def answer_push(self, name: str, *, code: int = 0) -> None:
        """The customer pays (0), says no (1032), or cannot be reached; then the callback goes."""
        push = self.pushes[name]
        assert push["code"] is None
        push["code"] = code
        call: Json = {
            "MerchantRequestID": "m",
            "CheckoutRequestID": name,
            "ResultCode": code,
            "ResultDesc": "words",
        }
        if code == 0:
            self.balance += int(push["amount"])
            push["receipt"] = self._receipt()
            call["CallbackMetadata"] = {
                "Item": [
                    {"Name": "Amount", "Value": float(push["amount"])},
                    {"Name": "MpesaReceiptNumber", "Value": push["receipt"]},
                    {"Name": "PhoneNumber", "Value": int(push["said"]["PartyA"])},
                ]
            }
        self._call_back(push["said"]["CallBackURL"], {"Body": {"stkCallback": call}})

    def _push_query(self, said: Json) -> Response:
        name = said["CheckoutRequestID"]
        push = self.pushes.get(name)
        if push is None:
            return _error(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID")
        if push["code"] is None:
            return _error(500, "500.001.1001", "The transaction is being processed")
        return as_json(
            {
                "ResponseCode": "0",
                "ResponseDescription": "The service request has been accepted successsfully",
                "MerchantRequestID": "m",
                "CheckoutRequestID": name,
                "ResultCode": str(push["code"]),
                "ResultDesc": "words",
            }
        )

    def _pay(self, said: Json) -> Response:
        key = said["OriginatorConversationID"]
        if key in self.payments:
            return _error(500, "500.002.1001", "Duplicate OriginatorConversationID.")
        self._count += 1
        conversation = f"AG_20260302_{self._count:06d}"
        payment: Json = {
            "said": said,
            "conversation": conversation,
            "status": "Pending",
            "receipt": "",
            "ended": "",
        }
        self.payments[key] = payment
        self.clock.after(timedelta(seconds=30), lambda: self._process(payment))
        return as_json(_accepted(conversation, key))

    def _process(self, payment: Json) -> None:
        said, amount = payment["said"], int(payment["said"]["Amount"])
        code = self.ends.get(said["PartyB"], 0)
        if code == 0 and self.balance < amount:
            code = 1
        payment["receipt"] = self._receipt()
        payment["status"] = "Failed" if code else "Completed"
        nairobi = self.clock.now + timedelta(hours=3)
        payment["ended"] = nairobi.strftime("%Y%m%d%H%M%S")
        if not code:
            self.balance -= amount
        result = {
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": "words",
            "OriginatorConversationID": said["OriginatorConversationID"],
            "ConversationID": payment["conversation"],
            "TransactionID": payment["receipt"],
            "ResultParameters": {
                "ResultParameter": [
                    {"Key": "ReceiverPartyPublicName", "Value": f"{said['PartyB']} - JANE DOE"}
                ]
            },
        }
        self._call_back(said["ResultURL"], {"Result": result})

    def _status_query(self, said: Json) -> Response:
        self._count += 1
        conversation = f"AG_20260302_{self._count:06d}"
        key = said["OriginalConversationID"]
        self.clock.after(
            timedelta(seconds=5), lambda: self._tell_status(said["ResultURL"], key, conversation)
        )
        return as_json(_accepted(conversation, f"q-{self._count}"))

    def _tell_status(self, url: str, key: str, conversation: str) -> None:
        payment = self.payments.get(key)
        result: Json = {
            "ResultType": 0,
            "ResultCode": 0 if payment else 2032,
            "ResultDesc": "words",
            "OriginatorConversationID": "q",
            "ConversationID": conversation,
            "TransactionID": "QQQ0000000",
        }
        if payment:
            listed = {
                "DebitPartyName": f"{SHORTCODE} - Market",
                "CreditPartyName": f"{payment['said']['PartyB']} - Jane Doe",
                "OriginatorConversationID": key,
                "TransactionStatus": payment["status"],
                "FinalisedTime": payment["ended"],
                "Amount": payment["said"]["Amount"],
                "ConversationID": payment["conversation"],
                "ReceiptNo": payment["receipt"],
            }
            result["ResultParameters"] = {
                "ResultParameter": [{"Key": k, "Value": v} for k, v in listed.items()]
            }
        self._call_back(url, {"Result": result})

    def _call_back(self, url: str, said: Json) -> None:
        endpoint = url.rsplit("/", 1)[1]
        self.deliveries.add(Message(endpoint, json.dumps(said).encode(), lambda *_: {}, name=url))

    def _receipt(self) -> str:
        self._count += 1
        return f"SC2{self._count:07d}"


def _accepted(conversation: str, key: str) -> Json:
    return {
        "ConversationID": conversation,
        "OriginatorConversationID": key,
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    }


def _error(status: int, code: str, words: str) -> Response:
    return as_json({"requestId": "r", "errorCode": code, "errorMessage": words}, status=status)
