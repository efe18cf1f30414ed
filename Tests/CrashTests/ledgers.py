"""Compares what clients were told, the journal, and the host's books. Each difference is a kind and a sentence."""
import json

KEPT = {"approved", "adjusted", "forwarded", "settled"}
ENDED = KEPT | {"declined", "declined-offline", "reversed", "cancelled", "failed"}


def taken(row):
    for name in ("final_amount", "approved_amount", "amount"):
        if row.get(name) is not None:
            return row[name]


def is_refund(row):
    return row["type"] == 0x20


def is_kept(row):
    return row["state"] in KEPT


def is_held(row):
    return row["purpose"] == "pre-authorization" and row.get("final_amount") is None


def host_name(row):
    """How the host names a transaction of the journal (ISO 8583 fields 41, 37 and 11)."""
    return f"{row['terminal']}/{row['rrn']}/{row['stan']:06d}"


class HostBooks:
    """What `tapbridge host` keeps: what it owes each merchant, and what it booked on the cardholders' accounts."""

    def __init__(self, path):
        whole = json.loads(path.read_text()) if path.exists() else {}
        self.open, closed = {}, set()
        for terminal in whole.get("acquirer", {}).get("terminals", {}).values():
            for name, item in terminal.get("open", {}).items():
                self.open[name] = -item["amount"] if item["isCredit"] else item["amount"]
            for batch in keyed(terminal.get("closed", {})).values():
                closed.update(batch["transactions"])
        self.booked = {}
        for entry in whole.get("issuer", {}).get("ledger", {}).get("entries", []):
            for posting in entry["postings"]:
                if posting["account"] == "crash":
                    name = entry["transactionID"]
                    self.booked[name] = self.booked.get(name, 0) - posting["minorUnits"]
        # Of a batch that is closed the host keeps the sums and names alone.
        self.owed = {**{name: self.booked.get(name, 0) for name in closed}, **self.open}


def keyed(value):
    """A dictionary whose keys are numbers is an object, or a list of keys and values in turn."""
    return dict(zip(value[::2], value[1::2])) if isinstance(value, list) else value


def compare(rows, host, ledger):
    """All differences, as (kind, text)."""
    found = []

    def differs(kind, text):
        found.append((kind, text))
    by_id = {row["id"]: row for row in rows}
    successors = {row["replaces"]: row for row in rows if row.get("replaces")}
    # A version that named second tries by their keys.
    for row in rows:
        key = row.get("idempotency_key") or ""
        if key.startswith("again:") and key[6:] in by_id and not any(each.key == key for each in ledger.payments):
            successors.setdefault(key[6:], row)

    def tell(row):
        return f"{row['id']} ({row.get('idempotency_key') or 'second try'}, {host_name(row)}, {row['amount']}, {row['state']})"

    compare_host(rows, host, differs, tell)
    compare_told(rows, by_id, successors, ledger, differs, tell)
    compare_given_back(rows, by_id, differs, tell)
    for payment in ledger.payments:
        row = by_id.get(payment.id)
        if row:
            compare_actions(row, payment, [each for each in ledger.actions if each.payment is payment], differs, tell)
    return found


def compare_host(rows, host, differs, tell):
    names = {}
    for row in rows:
        name = host_name(row)
        if name in names:
            differs("numbers", f"{tell(row)} has the numbers of {tell(names[name])}")
        names[name] = row
        if row["state"] not in ENDED:
            differs("open", f"{tell(row)} is open at the end")
            continue
        expected = (-taken(row) if is_refund(row) else taken(row)) if is_kept(row) else 0
        has, booked = host.owed.get(name, 0), host.booked.get(name, 0)
        if has != expected:
            kind = "host-keeps" if expected == 0 else "host-lost" if has == 0 else "host-amount"
            differs(kind, f"{tell(row)}: the journal has {expected}, the host owes {has}")
        elif booked != has:
            differs("host-books", f"{tell(row)}: the host owes {has} and booked {booked}")
    for name in sorted((set(host.owed) | {name for name, net in host.booked.items() if net}) - set(names)):
        differs("journal-lost", f"the host has {name} ({host.owed.get(name, 0)}, booked {host.booked.get(name, 0)}), the journal has not")


def compare_told(rows, by_id, successors, ledger, differs, tell):
    keys = {}
    for row in rows:
        if key := row.get("idempotency_key"):
            if (row["terminal"], key) in keys:
                differs("doubled", f"{tell(row)} and {tell(keys[row['terminal'], key])} have one key")
            keys[row["terminal"], key] = row
    known = {each.key for each in ledger.payments}
    for row in rows:
        if row.get("idempotency_key") and row["idempotency_key"] not in known and row not in successors.values():
            differs("unasked", f"nobody asked for {tell(row)}")
        chain, each = [row], row
        while (each := successors.get(each["id"])) and each not in chain:
            chain.append(each)
        if sum(map(is_kept, chain)) > 1:
            differs("doubled", f"{' and '.join(map(tell, chain))} are in place of one another, and both are kept")
    for payment in ledger.payments:
        if payment.id is None:
            continue
        row = by_id.get(payment.id)
        if row is None:
            differs("lost", f"{payment.id} ({payment.key}) was told to have begun, and is not in the journal")
            continue
        if row["amount"] != payment["amount"]:
            differs("amount", f"{tell(row)} was asked for with {payment['amount']}")
        given_up = [each for each in ledger.actions if each.payment is payment and each.kind == "void"
                    and (each.status == 200 or each.is_unknown)]
        definite = {status for _, status, is_deferred in payment.told if not is_deferred}
        history = ", ".join(status + (" (deferred)" if is_deferred else "") for _, status, is_deferred in payment.told)
        if "approved" in definite and len(definite) > 1:
            differs("told-two", f"{tell(row)} was told {history}")
        elif "approved" in definite and not is_kept(row) and not given_up:
            differs("told-approved", f"{tell(row)} was told {history}: {row.get('reversal_reason') or row.get('reason')}")
        elif definite and "approved" not in definite and is_kept(row):
            differs("told-failed", f"{tell(row)} was told {history}")
        elif not definite and payment.told and payment.told[-1][1] == "approved" and not given_up:
            last = row
            while last["id"] in successors:
                last = successors[last["id"]]
            if last["state"] in ("reversed", "failed", "cancelled"):
                differs("deferred-lost", f"{tell(last)}: the payment was given on credit as {payment.id}, and nobody pays")


def compare_given_back(rows, by_id, differs, tell):
    refunds = {}
    for row in rows:
        if is_refund(row) and row.get("original") and is_kept(row):
            refunds.setdefault(row["original"], []).append(row)
    for name, given in refunds.items():
        original = by_id.get(name)
        if original is None:
            differs("given-back", f"{', '.join(map(tell, given))} gives back {name}, which the journal has not")
            continue
        most = taken(original) if is_kept(original) and not is_held(original) else 0
        back = sum(map(taken, given))
        if back > most:
            why = "held, never completed" if is_held(original) else f"final {original.get('final_amount')}"
            kind = ("given-back-of-reversed" if not is_kept(original) else "given-back-of-held" if is_held(original)
                    else "given-back-twice" if len(given) > 1 else "given-back-too-much")
            differs(kind, f"{back} given back of {tell(original)} ({why}), which took {most}: {', '.join(map(tell, given))}")


def compare_actions(row, payment, actions, differs, tell):
    voids = [each for each in actions if each.kind == "void"]
    if any(each.status == 200 for each in voids) and row["state"] not in ("reversed", "cancelled", "declined"):
        differs("void", f"{tell(row)} was told to be taken back")
    if payment.is_approved and voids and all(each.status == 409 for each in voids) and row["state"] == "reversed" \
            and row.get("reversal_reason") == "cancelled":
        differs("void", f"every void of {tell(row)} was refused, and it was taken back")
    final = row.get("final_amount")
    completions = [each for each in actions if each.kind == "complete"]
    told = {each.amount for each in completions if each.status == 200}
    if len(told) > 1:
        differs("completed-twice", f"completions of {tell(row)} with {' and '.join(map(str, sorted(told)))} were both told to be done; {final} counts")
    elif told and is_kept(row) and final not in told:
        differs("completion", f"the completion of {tell(row)} with {told.pop()} was told to be done, and {final} counts")
    elif is_kept(row) and payment["purpose"] == "preAuthorization" and final is not None \
            and not any(each.amount == final for each in completions if each.status == 200 or each.is_unknown):
        differs("completion", f"{tell(row)} was completed with {final}, though no client was told so")
    tips = [each for each in actions if each.kind == "tip" and (each.status == 200 or each.is_unknown)]
    done = [each for each in tips if each.status == 200]
    if done and is_kept(row):
        # The last one told to be done, or one that may have come after it.
        candidates = {each.amount for each in tips if each.is_unknown or not any(later.begun > each.ended for later in done)}
        if (final if final is not None else row["amount"]) - row["amount"] not in candidates:
            differs("tip", f"tips of {tell(row)}: {final} counts, of {sorted(candidates)} one should")
