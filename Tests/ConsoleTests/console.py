#!/usr/bin/env python3
"""The daemon's console in headless Chromium: console.py PROGRAM [FOLDER FOR SCREENSHOTS]

Starts the daemon with a journal of its own, does with the page what people do, and reads what it shows. Anything that the
browser reports as an error (scripts, the content security policy, failed requests) fails the run.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from playwright.sync_api import expect, sync_playwright

PROGRAM = sys.argv[1]
PICTURES = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Machines are shared: nothing here is about time.
PATIENCE = int(os.environ.get("PATIENCE", 60_000))

expect.set_options(timeout=PATIENCE)


class Daemon:
    def __init__(self, folder):
        environment = dict(os.environ, XDG_STATE_HOME=str(folder), XDG_CONFIG_HOME=str(folder))
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--journal", str(folder / "journal.sqlite"),
             "--traces", str(ROOT / "apdu-traces")],
            stdout=self.log, stderr=subprocess.STDOUT, env=environment)
        end = time.monotonic() + 60
        self.address = None
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+", pathlib.Path(self.log.name).read_text())
            if found:
                self.address = found.group(0)
                break
            time.sleep(0.05)
        if not self.address:
            self.stop()
            raise SystemExit("the daemon did not start: " + pathlib.Path(self.log.name).read_text())

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Desk:
    """One page, with what the browser complains about."""

    def __init__(self, browser, daemon, **options):
        self.daemon = daemon
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(PATIENCE)
        self.complaints = []
        self.device = self.page.get_by_role("group", name="Terminal, the customer’s side")
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.goto(daemon.address + "/")
        expect(self.page.get_by_role("button", name=re.compile("^Charge"))).to_be_enabled()
        expect(self.page.locator(".connection")).to_contain_text("live")

    def button(self, name):
        return self.page.get_by_role("button", name=name)

    def picture(self, name):
        if PICTURES:
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(PICTURES / f"{name}.png"))

    def card(self, title):
        return self.page.get_by_role("button", name=re.compile(re.escape(title))).first

    def charge(self):
        self.button(re.compile("^Charge")).click()
        expect(self.device).to_contain_text("Present card")

    def check(self):
        self.page.wait_for_timeout(200)
        assert not self.complaints, self.complaints


def taps_a_card(desk):
    """An offline approval: lights, message, exchange, timings, results, receipt."""
    desk.charge()
    desk.card("Visa debit, offline capable").click()
    expect(desk.page.locator("main > :visible")).to_contain_text("Approved")
    expect(desk.page.locator("main > :visible")).to_contain_text("GET PROCESSING OPTIONS")
    last = desk.daemon.get("/v1/payments")["items"][0]
    assert last["result"]["status"] == "approved" and last["result"]["online"] is False, last
    desk.picture("approved")
    for tab, words in [("Timings", "Waiting for people"), ("Results", "Terminal Verification Results"),
                       ("Receipt", "APPROVED OFFLINE"), ("Exchange", "READ RECORD")]:
        desk.page.get_by_role("tab", name=tab).click()
        expect(desk.page.locator("main > :visible")).to_contain_text(words)
        desk.picture("engineer-" + tab.lower())
    desk.page.get_by_role("tab", name="Exchange").click()
    desk.button("Expand all").click()
    expect(desk.page.locator("main > :visible")).to_contain_text("Application Cryptogram")


def unlocks_a_phone(desk):
    """A locked phone: "see phone", unlocked, tapped again, approved by the host."""
    pay(desk, 6400)
    desk.card("Tap Google Pay type wallet, Visa").click()
    expect(desk.device).to_contain_text("Present card again")
    desk.picture("see-phone")
    desk.button("Unlock Google Pay type wallet, Visa").click()
    desk.card("Tap Google Pay type wallet, Visa, unlocked phone").click()
    finished(desk, "approved")
    desk.page.get_by_role("tab", name="Host").click()
    desk.picture("host")


def enters_a_pin(desk):
    pay(desk, 8000)
    desk.card("Visa debit, offline capable").click()
    pad = desk.device
    expect(pad.get_by_role("button", name="1", exact=True)).to_be_enabled()
    for digit in "1234":
        pad.get_by_role("button", name=digit, exact=True).click()
    desk.picture("pin")
    desk.button("Confirm the PIN").click()
    finished(desk, "approved")
    assert "1234" not in desk.device.inner_text()


def cancels(desk):
    pay(desk, 990)
    desk.page.locator(".till-form").get_by_role("button", name=re.compile("^Cancel")).click()
    finished(desk, "cancelled")


def pay(desk, cents):
    """Starts a payment with the keypad."""
    before = len(desk.daemon.get("/v1/payments")["items"])
    for digit in str(cents):
        desk.page.locator(".till-form").get_by_role("button", name=digit, exact=True).click()
    desk.button(re.compile("^Charge")).click()
    end = time.monotonic() + 60
    while len(desk.daemon.get("/v1/payments")["items"]) == before and time.monotonic() < end:
        time.sleep(0.05)
    payment = desk.daemon.get("/v1/payments")["items"][0]
    assert payment["amount"] == cents, payment
    expect(desk.device).to_contain_text("Present card")


def finished(desk, status):
    payment = desk.daemon.get("/v1/payments")["items"][0]
    payment = desk.daemon.get(f"/v1/payments/{payment['id']}?wait=60")
    assert payment["result"]["status"] == status, payment
    expect(desk.page.locator("main > :visible")).to_contain_text(re.compile(status, re.I))


def replays_a_trace(desk):
    """Step by step, forward and back, by button and by key."""
    desk.page.get_by_role("link", name="Traces").click()
    desk.page.get_by_text("A Mastercard pulled away during GENERATE AC").first.click()
    expect(desk.page.locator("main > :visible")).to_contain_text(re.compile("RECOVER AC|GENERATE AC"))
    slider = desk.page.get_by_role("slider").first
    expect(slider).to_be_visible()
    slider.focus()
    start = slider.input_value()
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("ArrowRight")
    expect(slider).not_to_have_value(start)
    after = slider.input_value()
    desk.page.keyboard.press("ArrowLeft")
    expect(slider).not_to_have_value(after)
    desk.picture("replay")


def compares_two(desk):
    desk.page.get_by_role("link", name="Compare").click()
    for index, label in enumerate(["visa-credit-online", "visa-debit-offline"]):
        box = desk.page.locator("main select:visible").nth(index)
        value = box.evaluate(
            "(box, word) => [...box.options].find((option) => option.value.includes(word) || option.text.includes(word)).value", label)
        box.select_option(value)
    expect(desk.page.locator("main > :visible")).to_contain_text("GET PROCESSING OPTIONS")
    desk.picture("compare")


def reads_the_journal(desk):
    desk.page.get_by_role("link", name="Journal").click()
    rows = desk.page.locator(".journal-row:not(.heading)")
    total = len(desk.daemon.get("/v1/journal")["items"])
    expect(rows).to_have_count(total)
    desk.page.get_by_label("Last four digits").fill("0014")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("0014")
    desk.page.get_by_label("Last four digits").fill("")
    expect(rows).to_have_count(total)
    with desk.page.expect_download() as download:
        desk.button("CSV").click()
    lines = pathlib.Path(download.value.path()).read_text().strip().splitlines()
    assert len(lines) == total + 1, lines
    desk.page.get_by_role("link", name=re.compile("Nov|Dec|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct")).first.click()
    expect(desk.page.locator("main > :visible")).to_contain_text("History")
    desk.picture("journal")


def by_keyboard_alone(desk):
    """From the first link to a payment and a tap, with Tab, arrows and Enter."""
    before = len(desk.daemon.get("/v1/payments")["items"])

    def walk(test, limit=150):
        for _ in range(limit):
            desk.page.keyboard.press("Tab")
            name = desk.page.evaluate(
                "() => (document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent ?? '').trim()")
            if test(name):
                return name
        raise AssertionError("not reached by keyboard")

    walk(lambda name: name.startswith("Charge"))
    desk.page.keyboard.press("Enter")
    expect(desk.device).to_contain_text("Present card")
    walk(lambda name: "Visa credit" in name or "VISA CREDIT" in name)
    desk.page.keyboard.press("Enter")
    finished(desk, "approved")
    assert len(desk.daemon.get("/v1/payments")["items"]) == before + 1


def names_and_roles(desk):
    """Every control has a name, every image a text or none on purpose, one h1 or a labelled main, no double ids."""
    problems = desk.page.evaluate("""() => {
      const problems = [];
      const visible = (e) => e.checkVisibility?.() ?? true;
      for (const e of document.querySelectorAll('button, a[href], input, select, textarea, [role=tab], [role=slider]')) {
        if (!visible(e)) continue;
        const labelled = (e.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('');
        const name = e.getAttribute('aria-label') || labelled || e.title || [...(e.labels ?? [])].map((l) => l.textContent).join('') || e.textContent || e.placeholder;
        if (!name?.trim()) problems.push('no name: ' + e.outerHTML.slice(0, 120));
      }
      const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
      for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) problems.push('double id: ' + id);
      if (!document.documentElement.lang) problems.push('no language');
      if (!document.querySelector('main')) problems.push('no main');
      if (!document.querySelector('[aria-live]')) problems.push('nothing is announced');
      return problems;
    }""")
    assert not problems, problems


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tapbridge-console-"))
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not browser_path:
        raise SystemExit("chromium is not installed")
    daemon = Daemon(folder)
    failed = 0
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-dev-shm-usage"])
            desk = Desk(browser, daemon, viewport={"width": 1440, "height": 950})
            steps = [taps_a_card, unlocks_a_phone, enters_a_pin, cancels, names_and_roles, replays_a_trace, names_and_roles,
                     compares_two, names_and_roles, reads_the_journal, names_and_roles]
            only = os.environ.get("ONLY")
            for step in steps:
                if only and step.__name__ not in only:
                    continue
                try:
                    step(desk)
                    desk.check()
                    print("ok     ", step.__name__)
                except Exception as error:  # told, and the next step is made
                    failed += 1
                    desk.complaints.clear()
                    desk.picture("failed-" + step.__name__)
                    print("FAILED ", step.__name__, str(error)[:1500])
            for name, options in [("dark", {"color_scheme": "dark", "viewport": {"width": 1440, "height": 950}}),
                                  ("narrow", {"viewport": {"width": 360, "height": 740}})]:
                try:
                    other = Desk(browser, daemon, **options)
                    if name == "narrow":
                        wide = other.page.evaluate("() => document.documentElement.scrollWidth")
                        assert wide <= 360, f"the page is {wide} px wide on a screen of 360"
                    else:
                        by_keyboard_alone(other)
                        colour = other.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
                        assert sum(int(x) for x in re.findall(r"\d+", colour)[:3]) < 300, colour
                    other.picture(name)
                    other.check()
                    other.page.close()
                    print("ok     ", name)
                except Exception as error:
                    failed += 1
                    print("FAILED ", name, str(error)[:1500])
            browser.close()
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise SystemExit(f"{failed} of the console's tests failed")


main()
