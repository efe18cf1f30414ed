"""Clients of the daemon, each with terminals of its own, and the ledger of what they were told."""
import random
import threading
import time

from shop import CARDS_OF_A_NUMBER, MASKED_NUMBERS, card_number

CLIENTS = 4


class Payment:
    """A request to pay, and what became of it as far as its client was told."""

    def __init__(self, key, body):
        self.key, self.body = key, body
        self.id = None
        # (time, status, whether the host is asked later)
        self.told = []

    def note(self, view):
        result = view.get("result") or {}
        if status := result.get("status"):
            entry = (status, bool(result.get("deferred")))
            if not self.told or self.told[-1][1:] != entry:
                self.told.append((time.monotonic(), *entry))

    @property
    def is_approved(self):
        return bool(self.told) and self.told[-1][1] == "approved"

    @property
    def is_ended(self):
        return bool(self.told)

    def __getitem__(self, name):
        return self.body.get(name)


class DeskAction:
    """A void, a completion or a tip."""

    def __init__(self, kind, payment, amount, begun, answer):
        self.kind, self.payment, self.amount, self.begun, self.ended = kind, payment, amount, begun, time.monotonic()
        self.status, self.is_unknown = answer.status, answer.is_unknown
        self.code = answer.body.get("code")


class Ledger:
    """What all clients of a seed were told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.payments = []
        self.actions = []
        # How many cards were used of each masked number that was used.
        self.uses = []

    def add(self, payment):
        with self.lock:
            self.payments.append(payment)
        return payment

    def next_card(self, original):
        """A card that was not used; for a refund one with the masked number of the card that paid. None where none is left."""
        with self.lock:
            if original:
                paid = next(each for each in self.payments if each.id == original)
                masked = int(paid["tap"]["card"].split("-")[1])
                if self.uses[masked] == CARDS_OF_A_NUMBER:
                    return None
                self.uses[masked] += 1
                return f"crash-{masked}-{self.uses[masked] - 1}"
            if len(self.uses) == MASKED_NUMBERS:
                return None
            self.uses.append(1)
            return f"crash-{len(self.uses) - 1}-0"

    def approved(self, purpose=None, kind="purchase"):
        with self.lock:
            return [each for each in self.payments if each.id and each.is_approved and (each["type"] or "purchase") == kind
                    and (purpose is None or (each["purpose"] or "sale") == purpose)]


class Client(threading.Thread):
    """One client, whose operations its seed decides. What it meets depends on the moment, too."""

    def __init__(self, shop, ledger, seed, index, card_profile, stop):
        super().__init__(daemon=True)
        self.shop, self.ledger, self.index, self.stop = shop, ledger, index, stop
        self.random = random.Random(f"{seed}/{index}")
        self.card_profile = card_profile
        self.terminals = [f"TERM{2 * index + 1:04d}", f"TERM{2 * index + 2:04d}"]
        self.added = f"CLIENT{index:02d}"
        self.keys = 0
        self.error = None

    OPERATIONS = {
        "sale": 10, "sale_at_added": 5, "pre_authorization": 4, "deferred": 4, "refund": 4, "refund_pair": 4,
        "refund_and_void": 4, "void": 5, "void_pair": 2, "tip": 3, "tip_after_refund": 2, "complete": 4, "complete_pair": 3,
        "complete_and_void": 2, "refund_of_held": 2, "key_again": 4, "key_of_another": 3, "internal_key": 4, "cut": 4,
        "remove_added": 3, "cancel": 2, "settle": 1,
    }

    def run(self):
        try:
            names, weights = zip(*self.OPERATIONS.items())
            while not self.stop.is_set():
                if self.shop.daemon is None or self.shop.daemon.poll() is not None:
                    # Nobody listens.
                    self.stop.wait(0.05)
                    continue
                name = self.random.choices(names, weights)[0]
                self.shop.count("operations")
                getattr(self, name)()
                self.stop.wait(0.02)
        except Exception as error:
            self.error = error
            raise

    # Payments

    def key(self):
        self.keys += 1
        return f"key-{self.index}-{self.keys}"

    def make_card(self, name):
        """The card of this name, made again where the daemon has lost it."""
        text = self.card_profile.replace("4761739001010119", card_number(*map(int, name.split("-")[1:])))
        self.shop.ask("POST", "/v1/cards", {"id": name, "profileText": text})

    def order(self, terminal, amount=None, **more):
        card = self.ledger.next_card(more.get("original"))
        if card is None:
            return None
        body = {"terminal": terminal, "amount": amount or self.random.randrange(500, 4900), "deadlineSeconds": 3,
                "tap": {"card": card}, **more}
        return self.ledger.add(Payment(self.key(), body))

    def send(self, payment, cut=False, key=None, body=None):
        body = body or payment.body
        self.make_card(body["tap"]["card"])
        answer = self.shop.ask("POST", "/v1/payments", body, key or payment.key, cut=cut)
        if answer.status == 201 and not key and body is payment.body:
            if payment.id not in (None, answer.body["id"]):
                self.shop.differs("key", f"the key {payment.key} named {payment.id}, and now {answer.body['id']}")
            payment.id = answer.body["id"]
            payment.note(answer.body)
        return answer

    def pay(self, terminal, amount=None, wait=3, **more):
        payment = self.order(terminal, amount, **more)
        if payment is None:
            return None
        answer = self.send(payment)
        if answer.is_unknown and self.random.random() < 0.5:
            self.send(payment)
        self.wait(payment, wait)
        return payment

    def wait(self, payment, seconds=3):
        if payment.id and not payment.is_ended:
            answer = self.shop.ask("GET", f"/v1/payments/{payment.id}?wait={seconds}", patience=seconds + 5)
            if answer.status == 200:
                payment.note(answer.body)

    def any_terminal(self):
        return self.random.choice(self.terminals)

    def some(self, payments):
        # The latest are the most unlucky.
        return self.random.choice(payments[-12:]) if payments else None

    def sale(self):
        self.pay(self.any_terminal())

    def sale_at_added(self):
        self.shop.ask("POST", "/v1/terminals", {"id": self.added})
        self.pay(self.added, wait=2)

    def pre_authorization(self):
        self.pay(self.any_terminal(), purpose="preAuthorization")

    def deferred(self):
        self.pay(self.any_terminal(), purpose="deferred")

    def refund_of(self, payment, terminal, amount=None):
        return self.pay(terminal, amount or payment["amount"], type="refund", original=payment.id)

    def refund(self):
        if original := self.some(self.ledger.approved("sale")):
            part = self.random.choice([1, 1, 2, 3])
            self.refund_of(original, self.any_terminal(), max(1, original["amount"] // part))

    def refund_pair(self):
        original = self.some(self.ledger.approved("sale")) or self.pay(self.terminals[0])
        if original and original.id:
            together(*(lambda terminal=terminal: self.refund_of(original, terminal) for terminal in self.terminals))

    def refund_and_void(self):
        original = self.pay(self.terminals[0])
        if original and original.is_approved:
            if self.random.random() < 0.5:
                self.refund_of(original, self.terminals[1])
                self.act("void", original)
            else:
                together(lambda: self.refund_of(original, self.terminals[1]), lambda: self.act("void", original))

    def refund_of_held(self):
        """Of a pre-authorization that was never completed."""
        if original := self.some(self.ledger.approved("preAuthorization")):
            self.refund_of(original, self.any_terminal())

    # The desk

    def act(self, kind, payment, amount=None):
        begun = time.monotonic()
        answer = self.shop.ask("POST", f"/v1/payments/{payment.id}/{kind}", None if kind == "void" else {"amount": amount})
        with self.ledger.lock:
            self.ledger.actions.append(DeskAction(kind, payment, amount, begun, answer))
        return answer

    def void(self):
        if payment := self.some(self.ledger.approved(kind=self.random.choice(["purchase", "purchase", "refund"]))):
            self.act("void", payment)

    def void_pair(self):
        if payment := self.some(self.ledger.approved()):
            together(*[lambda: self.act("void", payment)] * 2)

    def tip(self):
        if payment := self.some(self.ledger.approved("sale")):
            self.act("tip", payment, self.random.randrange(0, payment["amount"] // 5 + 1))

    def tip_after_refund(self):
        payment = self.pay(self.terminals[0])
        if payment and payment.is_approved:
            tip = payment["amount"] // 10 + 1
            self.act("tip", payment, tip)
            self.refund_of(payment, self.terminals[1], payment["amount"] + tip)
            self.act("tip", payment, 0)

    def complete(self):
        if payment := self.some(self.ledger.approved("preAuthorization")):
            self.act("complete", payment, self.random.randrange(1, payment["amount"] + 1))

    def complete_pair(self):
        payment = self.pay(self.any_terminal(), purpose="preAuthorization")
        if payment and payment.is_approved:
            together(*(lambda part=part: self.act("complete", payment, payment["amount"] // part) for part in (1, 2)))

    def complete_and_void(self):
        if payment := self.some(self.ledger.approved("preAuthorization")):
            together(lambda: self.act("complete", payment, payment["amount"]), lambda: self.act("void", payment))

    # Keys, connections, terminals

    def key_again(self):
        with self.ledger.lock:
            mine = [each for each in self.ledger.payments if each.key.startswith(f"key-{self.index}-")]
        if payment := self.some(mine):
            self.send(payment)
            self.wait(payment, 1)

    def key_of_another(self):
        with self.ledger.lock:
            mine = [each for each in self.ledger.payments if each.key.startswith(f"key-{self.index}-") and each.id]
        if payment := self.some(mine):
            other = {**payment.body, "amount": payment["amount"] + 1}
            answer = self.send(payment, key=payment.key, body=other)
            if answer.status == 201:
                self.shop.differs("key", f"the key {payment.key} of {payment.id} was taken with another amount: {answer.body.get('id')}")

    def internal_key(self):
        """The name that a daemon once gave its own second try of a deferred payment."""
        terminal = self.any_terminal()
        payment = self.pay(terminal, purpose="deferred", wait=1)
        if payment and payment.id and (again := self.order(terminal)):
            again.key = "again:" + payment.id
            self.send(again)
            self.wait(again, 2)

    def cut(self):
        payment = self.order(self.any_terminal())
        if payment:
            self.send(payment, cut=True)
            time.sleep(self.random.random() * 0.2)
            self.send(payment)
            self.wait(payment, 2)

    def remove_added(self):
        self.shop.ask("DELETE", f"/v1/terminals/{self.added}")

    def settle(self):
        answer = self.shop.ask("POST", f"/v1/terminals/{self.any_terminal()}/settlements", {})
        self.shop.count(f"settlements told {answer.status or 'nothing'}")

    def cancel(self):
        payment = self.order(self.any_terminal())
        if payment:
            self.send(payment)
            if payment.id:
                self.shop.ask("POST", f"/v1/payments/{payment.id}/cancel")
                self.wait(payment, 2)


def together(*actions):
    """All at the same moment, as far as there is one."""
    barrier = threading.Barrier(len(actions))

    def act(action):
        barrier.wait()
        action()
    threads = [threading.Thread(target=act, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
