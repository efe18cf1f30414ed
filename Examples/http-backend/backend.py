#!/usr/bin/env python3
"""An acquirer for Tapbridge terminals, in memory, that approves up to 100.00: what openapi.yaml describes.

Usage: TAPBRIDGE_KEYS=terminal-1=00112233445566778899AABBCCDDEEFF backend.py [PORT]
"""
import contextlib
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAIRS = (pair.split("=") for pair in os.environ.get("TAPBRIDGE_KEYS", "").split(",") if pair)
KEYS = {name: bytes.fromhex(key) for name, key in PAIRS}
LIMIT, LOCK = 10_000, threading.Lock()
answers = {}   # (key name, idempotency key): (SHA-256 of the request, answer)
payments = {}  # transaction id: terminal, amount (0 where reversed), whether a refund, revision
closed = set()  # (terminal, batch)


def work(message):
    """Gives the members of the answer."""
    kind, number = message["message"], message.get("transactionId")
    credit = message.get("transactionType") == "20"
    new = {"terminal": message["terminalId"], "amount": 0, "credit": credit, "revision": 0}
    payment = payments.get(number)
    if kind == "authorization":
        if payment or message["amount"] > LIMIT:  # 94: its reversal came before it
            return {"responseCode": "94" if payment else "51"}
        payments[number] = new | {"amount": message["amount"]}
        return {"responseCode": "00", "authorizationCode": f"{len(payments):06}", "displayText": "APPROVED"}
    if kind == "upload" or kind == "advice" and not payment and message["offlineDecision"] == "approved":
        payments[number] = new | {"amount": message["amount"]}
    elif kind == "reversal":  # also of what has not come yet: it must not be authorized later
        payments.setdefault(number, new)["amount"] = 0
    elif kind == "adjustment" and payment and payment["amount"] and message["revision"] > payment["revision"]:
        payment.update(amount=message["amount"], revision=message["revision"])
    elif kind == "reconciliation" and (message["terminalId"], message["batch"]) not in closed:
        mine = [p for p in payments.values() if p["terminal"] == message["terminalId"] and p["amount"]]
        totals = {"debits": sum(not p["credit"] for p in mine), "credits": sum(p["credit"] for p in mine),
                  "debitAmount": sum(p["amount"] for p in mine if not p["credit"]),
                  "creditAmount": sum(p["amount"] for p in mine if p["credit"])}
        if totals != message["totals"] and not message["isAfterUpload"]:
            return {"responseCode": "95", "totals": totals}
        closed.add((message["terminalId"], message["batch"]))
        [p.update(terminal=None) for p in mine]  # settled
    return {"responseCode": "00"}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 18))
        name, stamp, number, signature = (self.headers.get(header, "") for header in (
            "Tapbridge-Key", "Tapbridge-Timestamp", "Idempotency-Key", "Tapbridge-Signature"))
        status, members = self.result(body, name, stamp, number, signature)
        if status != 200:  # by key and amount a refusal shows whose it is
            members["idempotencyKey"] = number
            with contextlib.suppress(ValueError, KeyError, TypeError):
                members["amount"] = json.loads(body)["amount"]
        body, stamp = json.dumps(members).encode(), str(int(time.time()))
        self.send_response(status)
        if name in KEYS:
            self.send_header("Tapbridge-Timestamp", stamp)
            self.send_header("Tapbridge-Signature", sign(name, "answer", stamp, str(status), number, body))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def result(self, body, name, stamp, number, signature):
        if name not in KEYS or not hmac.compare_digest(sign(name, "request", stamp, number, body), signature):
            return 401, {"error": {"code": "signature", "message": "unknown key or wrong signature"}}
        if not stamp.isdigit() or abs(int(stamp) - time.time()) > 300:
            return 401, {"error": {"code": "timestamp", "message": "more than 300 seconds from this clock"}}
        with LOCK:
            try:
                digest, message = hashlib.sha256(body).digest(), json.loads(body)
                same = {key: message[key] for key in ("version", "message", "transactionId") if key in message}
                if (name, number) not in answers:
                    answers[name, number] = digest, same | work(message)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                return 400, {"error": {"code": "malformed", "message": repr(error)}}
            if message["message"] == "authorization" and answers[name, number][0] != digest:
                return 409, {"error": {"code": "key-reused", "message": "the key came with another content"}}
            return 200, answers[name, number][1]


def sign(name, *lines):
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return "v1=" + hmac.new(KEYS[name], data, hashlib.sha256).hexdigest()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8583), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
