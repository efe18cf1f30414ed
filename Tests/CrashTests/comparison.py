"""The comparison compared: made-up ledgers that agree, and each of them spoiled in one place, which must be seen."""
import types

import ledgers
from clients import DeskAction, Ledger, Payment
from shop import Answer


def row(number, state="approved", **more):
    return {"id": f"txn_{number}", "terminal": "TERM0001", "rrn": f"{number:012d}", "stan": number, "state": state, "type": 0, "amount": 1000,
            "purpose": "sale", "idempotency_key": f"key-{number}", **more}


def payment(number, *told, **body):
    made = Payment(f"key-{number}", {"amount": 1000, **body})
    made.id = f"txn_{number}"
    made.told = [(moment, *(each if isinstance(each, tuple) else (each, False))) for moment, each in enumerate(told)]
    return made


def action(kind, of, status, amount=None, begun=0):
    made = DeskAction(kind, of, amount, begun, Answer(status))
    made.ended = begun + 1
    return made


def agreeing():
    """Journal, host and clients: a sale given back in part, one taken back, a completion, a tip, a decline, a failure, a second try."""
    rows = [
        row(1), row(2, type=0x20, original="txn_1", amount=400), row(3, "reversed", reversal_reason="cancelled"),
        row(4, "adjusted", purpose="pre-authorization", final_amount=700), row(5, "adjusted", final_amount=1100), row(6, "declined"),
        row(7, "reversed", reversal_reason="timeout"), row(8, "reversed", purpose="deferred", reversal_reason="timeout"),
        row(9, purpose="deferred", idempotency_key=None, replaces="txn_8"), row(10, "settled"), row(11, purpose="pre-authorization"),
    ]
    host = types.SimpleNamespace(owed={}, booked={})
    for number, amount in ((1, 1000), (2, -400), (4, 700), (5, 1100), (9, 1000), (10, 1000), (11, 1000)):
        host.owed[f"TERM0001/{number:012d}/{number:06d}"] = host.booked[f"TERM0001/{number:012d}/{number:06d}"] = amount
    ledger = Ledger()
    ledger.payments = [
        payment(1, "approved"), payment(2, "approved", amount=400, type="refund", original="txn_1"), payment(3, "approved"),
        payment(4, "approved", purpose="preAuthorization"), payment(5, "approved"), payment(6, "declined"), payment(7, "failed"),
        payment(8, ("approved", True), purpose="deferred"), payment(10, "approved"), payment(11, "approved", purpose="preAuthorization"),
    ]
    by = {each.id: each for each in ledger.payments}
    ledger.actions = [action("void", by["txn_3"], 200), action("complete", by["txn_4"], 200, 700), action("tip", by["txn_5"], 200, 50),
                      action("tip", by["txn_5"], 200, 100, begun=5)]
    return types.SimpleNamespace(rows=rows, host=host, ledger=ledger, row={each["id"][4:]: each for each in rows}, of=by)


def name(number):
    return f"TERM0001/{number:012d}/{number:06d}"


# Kind of difference, and how it comes about.
SPOILED = [
    ("open", lambda s: s.row["1"].update(state="authorizing")),
    ("host-keeps", lambda s: s.host.owed.update({name(7): 1000})),
    ("host-lost", lambda s: (s.host.owed.pop(name(1)), s.host.booked.pop(name(1)))),
    ("host-lost", lambda s: (s.host.owed.pop(name(10)), s.host.booked.pop(name(10)))),
    ("host-amount", lambda s: s.host.owed.update({name(5): 1000})),
    ("host-books", lambda s: s.host.booked.update({name(1): 2000})),
    ("journal-lost", lambda s: s.host.owed.update({name(99): 1000})),
    ("journal-lost", lambda s: s.host.booked.update({name(99): 1000})),
    ("numbers", lambda s: s.row["6"].update(stan=7, rrn=s.row["7"]["rrn"])),
    ("lost", lambda s: s.rows.remove(s.row["6"])),
    ("doubled", lambda s: s.row["10"].update(idempotency_key="key-1")),
    ("doubled", lambda s: (s.row["8"].update(state="approved"), s.host.owed.update({name(8): 1000}), s.host.booked.update({name(8): 1000}))),
    ("unasked", lambda s: s.row["6"].update(idempotency_key="key-99")),
    ("amount", lambda s: s.row["6"].update(amount=1001)),
    ("told-two", lambda s: s.of["txn_1"].told.append((9, "failed", False))),
    ("told-approved", lambda s: s.of["txn_7"].told.__setitem__(0, (0, "approved", False))),
    ("told-failed", lambda s: s.of["txn_1"].told.__setitem__(0, (0, "failed", False))),
    ("deferred-lost", lambda s: (s.row["9"].update(state="reversed"), s.host.owed.pop(name(9)), s.host.booked.pop(name(9)))),
    ("given-back-of-reversed", lambda s: s.row["2"].update(original="txn_3")),
    ("given-back-of-held", lambda s: s.row["2"].update(original="txn_11")),
    ("given-back-too-much", lambda s: s.row["1"].update(final_amount=300)),
    ("given-back-twice", lambda s: s.rows.append(row(12, type=0x20, original="txn_1", amount=700))),
    ("given-back", lambda s: s.row["2"].update(original="txn_99")),
    ("void", lambda s: s.ledger.actions.append(action("void", s.of["txn_1"], 200))),
    ("void", lambda s: s.ledger.actions.__setitem__(0, action("void", s.of["txn_3"], 409))),
    ("completed-twice", lambda s: s.ledger.actions.append(action("complete", s.of["txn_4"], 200, 600))),
    ("completion", lambda s: s.row["4"].update(final_amount=600)),
    ("completion", lambda s: s.ledger.actions.__setitem__(1, action("complete", s.of["txn_4"], 409, 700))),
    ("tip", lambda s: s.row["5"].update(final_amount=1050)),
]


def check():
    """Raises where the comparison sees what is not there, or does not see what is."""
    good = agreeing()
    found = ledgers.compare(good.rows, good.host, good.ledger)
    if found:
        raise AssertionError(f"ledgers that agree differ: {found}")
    for index, (kind, spoil) in enumerate(SPOILED):
        spoiled = agreeing()
        spoil(spoiled)
        found = ledgers.compare(spoiled.rows, spoiled.host, spoiled.ledger)
        if kind not in {each for each, _ in found}:
            raise AssertionError(f"difference {index} ({kind}) is not seen: {found}")


if __name__ == "__main__":
    check()
    print(f"ok      comparison (0.0 s)  {len(SPOILED)} differences are seen")
