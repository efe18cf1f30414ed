"""A daemon of its own, and pages of its console as people have them before them."""
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from playwright.sync_api import Error as PlaywrightError, expect

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else None
PICTURES = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Machines are shared: nothing here is about time.
PATIENCE = int(os.environ.get("PATIENCE", 60_000))
# A folder of the page's files that are taken instead of those compiled in: for work on the page without building.
PAGE = os.environ.get("PAGE") and pathlib.Path(os.environ["PAGE"])

WIDE = {"width": 1440, "height": 950}
MIDDLE = {"width": 1024, "height": 768}
NARROW = {"width": 360, "height": 740}

expect.set_options(timeout=PATIENCE)


def until(question, what):
    """Asks until the answer is yes."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.03)
    raise AssertionError(f"waited in vain: {what}")


def text(daemon, path):
    with urllib.request.urlopen(daemon.address + path, timeout=30) as answer:
        return answer.read().decode()


class Daemon:
    def __init__(self, folder, *options):
        self.folder = folder
        self.options = options
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self):
        environment = dict(os.environ, XDG_STATE_HOME=str(self.folder), XDG_CONFIG_HOME=str(self.folder))
        path = self.folder / "log"
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", str(self.port), "--journal", str(self.folder / "journal.sqlite"),
             "--traces", str(ROOT / "apdu-traces"), *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment)
        addresses = queue.Queue()
        self.reading = threading.Thread(target=self.read, args=(self.process.stdout, path, addresses), daemon=True)
        self.reading.start()
        try:
            found = addresses.get(timeout=PATIENCE / 1000)
        except queue.Empty:
            found = None
        if not found:
            self.stop()
            raise SystemExit("the daemon did not start: " + path.read_text())
        self.address, self.port = found.group(0), int(found.group(1))

    @staticmethod
    def read(output, path, addresses):
        """Keeps what the daemon says, and passes on where it says that it listens; None at its end."""
        with output, open(path, "w", buffering=1) as log:
            for line in output:
                log.write(line)
                if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                    addresses.put(found)
        addresses.put(None)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reading.join()

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(self.address + path, method=method, headers=headers or {})
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=90) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def get(self, path):
        return self.call("GET", path)

    def pay(self, key, **body):
        return self.call("POST", "/v1/payments", body, {"Idempotency-Key": key})

    def all(self, path):
        items, cursor = [], None
        while True:
            mark = "&" if "?" in path else "?"
            page = self.get(f"{path}{mark}limit=200" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items


class Desk:
    """One page, with what the browser complains about."""

    def __init__(self, context, daemon, place=""):
        self.context = context
        self.daemon = daemon
        self.complaints = []
        self.refusals = []
        self.page = context.new_page()
        self.size = self.page.viewport_size["width"]
        if PAGE:
            self.page.route(re.compile(r"/([a-z-]+\.(js|css|svg))?$"), self.from_folder)
        self.device = self.page.get_by_role("group", name="Terminal, the customer’s side")
        self.main = self.page.locator("main > :visible")
        self.till = self.page.locator(".till-form")
        self.page.on("console", lambda m: self.complaints.append(f"{m.text} {m.location.get('url', '')}") if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("response", lambda answer: self.refusals.append(answer) if answer.status >= 400 else None)
        self.page.goto(self.daemon.address + "/" + place)
        self.is_live()

    @staticmethod
    def from_folder(route):
        name = route.request.url.rsplit("/", 1)[1] or "index.html"
        if not (PAGE / name).exists():
            return route.continue_()
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rsplit(".")[-1]]
        # The page's policy stays in force.
        headers = dict(route.fetch(url=route.request.url.rsplit("/", 1)[0] + "/").headers)
        headers = {key: value for key, value in headers.items() if key not in ("content-length", "content-encoding", "etag")}
        return route.fulfill(status=200, headers={**headers, "content-type": kind + "; charset=utf-8"}, body=(PAGE / name).read_bytes())

    def is_live(self):
        expect(self.page.locator(".connection")).to_contain_text("live")
        expect(self.page.locator(".picker-name")).not_to_be_empty()
        # They are read last.
        expect(self.page.locator(".tray .card-button").first).to_be_attached()

    def go(self, name):
        self.page.get_by_role("navigation", name="Views").get_by_role("link", name=name).click()

    def button(self, name, **options):
        return self.page.get_by_role("button", name=name, **options)

    def tab(self, name):
        self.page.get_by_role("tab", name=name).and_(self.page.locator(":visible")).click()

    def pane(self, name):
        """One of the parts of a narrow page."""
        self.page.get_by_role("group", name="Part of the page").get_by_role("button", name=name).click()

    def card(self, title):
        return self.button(re.compile("^Tap " + re.escape(title)))

    def pay(self, cents, card=None):
        """Starts a payment with the keypad."""
        before = {payment["id"] for payment in self.daemon.get("/v1/payments")["items"]}
        for digit in str(cents):
            self.till.get_by_role("button", name=digit, exact=True).click()
        self.till.get_by_role("button", name=re.compile("^Charge")).click()
        expect(self.device).to_contain_text("Present card")
        payment = self.daemon.get("/v1/payments")["items"][0]
        assert payment["id"] not in before and payment["amount"] == cents, payment
        if card:
            self.card(card).first.click()
        return payment["id"]

    def finished(self, status):
        """The latest payment ends like this, and the page says it."""
        payment = self.daemon.get("/v1/payments")["items"][0]
        payment = self.daemon.get(f"/v1/payments/{payment['id']}?wait=60")
        assert payment["result"]["status"] == status, payment
        expect(self.page.locator(".till-result .result-word")).to_have_text(re.compile(status, re.I))
        expect(self.till.locator("button[type=submit]:not([hidden])")).to_have_count(1)
        return payment

    def wear(self, scheme):
        """Light or dark, at once: colours that are on their way are none. (In a closed <details> they never arrive.)"""
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate("() => { for (const each of document.getAnimations()) if (each.effect.getComputedTiming().iterations < 99) each.finish(); }")

    def picture(self, name):
        """What is seen now, in light and in dark."""
        if not PICTURES:
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        for scheme in ("dark", "light"):
            self.wear(scheme)
            self.page.screenshot(path=str(PICTURES / f"{name}-{self.size}-{scheme}.png"))

    def is_within(self, locator):
        """Every one is wholly on the screen, without scrolling sideways."""
        wide = self.page.evaluate("() => document.documentElement.scrollWidth")
        size = self.page.viewport_size
        if wide > size["width"]:
            out = self.page.evaluate("""(width) => [...document.querySelectorAll('body *')]
              .filter((each) => each.getBoundingClientRect().right > width).map((each) => each.outerHTML.slice(0, 100)).slice(0, 5)""", size["width"])
            raise AssertionError(f"the page is {wide} px wide on a screen of {size['width']}: {out}")
        for each in locator.all():
            box = each.bounding_box()
            assert box, "not shown"
            assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"], box
            assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"], box

    def forgive(self, words):
        """The browser tells of every answer that is an error: of these on purpose."""
        self.complaints = [each for each in self.complaints if words not in each]

    def check(self):
        """Nothing was complained about until now; what the browser has still to say comes before its answer."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        complaints, self.complaints = self.complaints, []
        refusals, self.refusals = self.refusals, []
        assert not complaints, (complaints, [self.said(answer) for answer in refusals])

    @staticmethod
    def said(answer):
        """What the daemon said to a request that it refused."""
        try:
            return answer.url, answer.text()
        except PlaywrightError as error:
            return answer.url, str(error)


class Held:
    """The responses to a page's first requests of some kind, kept back until they are released: those to later requests come
    first. They are as old as their requests."""

    def __init__(self, desk, method, path, count=1):
        self.page = desk.page
        self.method = method
        self.count = count
        self.kept = []
        self.address = re.compile(re.escape(desk.daemon.address) + path)
        self.ended = []
        for event in ("requestfinished", "requestfailed"):
            self.page.on(event, self.note)
        self.page.route(self.address, self.take)

    def note(self, request):
        self.ended.append(request)

    def take(self, route):
        if route.request.method != self.method or len(self.kept) == self.count:
            return route.fallback()
        try:
            self.kept.append((route, route.fetch()))
        except PlaywrightError:
            # The page has given it up already.
            self.kept.append((route, None))

    def wait(self):
        """Until the daemon has answered them all."""
        # Handlers run while the page is asked something.
        until(lambda: self.page.evaluate("() => true") and len(self.kept) == self.count, f"a request for {self.address.pattern}")

    def release(self, body=None):
        """Lets the page have them now, those that it still wants, with another body if one is given, and waits until it has
        drawn."""
        for route, response in self.kept:
            try:
                if response is None or route.request.failure is not None:
                    route.abort()
                else:
                    route.fulfill(response=response, body=body)
            except PlaywrightError:
                # The page has given it up in between; that it is over is seen below.
                pass
            until(
                lambda: self.page.evaluate("() => true") and any(request == route.request for request in self.ended),
                f"the end of {route.request.method} {route.request.url}",
            )
        for event in ("requestfinished", "requestfailed"):
            self.page.remove_listener(event, self.note)
        self.page.unroute(self.address, self.take)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


class Stage:
    """What a test may use: desks at a daemon that all tests share, and daemons of its own."""

    def __init__(self, browser, folder):
        self.browser = browser
        self.folder = folder
        self.daemons = []
        self.desks = []
        self.count = 0
        self.daemon = self.another()

    def another(self, *options):
        # A folder that no other had: in a journal of another daemon there are payments whose events this one does not have.
        self.count += 1
        daemon = Daemon(self.folder / str(self.count), *options)
        self.daemons.append(daemon)
        return daemon

    def desk(self, place="", daemon=None, before=None, beside=None, **options):
        """A page, in a window of its own or as a tab `beside` another."""
        context = beside.context if beside else self.browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(PATIENCE)
        if before:
            context.add_init_script(before)
        desk = Desk(context, daemon or self.daemon, place)
        self.desks.append(desk)
        return desk

    def end(self, has_failed=False):
        """After a test: nobody complained, and nothing is left that the next one would stumble over."""
        desks, self.desks = self.desks, []
        try:
            for desk in desks:
                if not has_failed:
                    desk.check()
        finally:
            for desk in desks:
                if has_failed and not desk.page.is_closed():
                    desk.picture("failed")
                desk.context.close()
            for daemon in self.daemons[1:]:
                daemon.stop()
            del self.daemons[1:]
            for payment in self.daemon.get("/v1/payments")["items"]:
                if payment["state"] != "finished":
                    self.daemon.call("POST", f"/v1/payments/{payment['id']}/cancel")
                    self.daemon.get(f"/v1/payments/{payment['id']}?wait=60")
