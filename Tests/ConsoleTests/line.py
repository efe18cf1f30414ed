"""The line between page and daemon: two pages at one terminal, a daemon that stops and comes back, a thousand terminals."""
import hashlib
import re
import secrets
import urllib.error

from playwright.sync_api import expect

from accessibility import audit
from desk import WIDE, text, until

OFFLINE = "Visa debit, offline capable"


def two_tabs_stay_in_step(stage):
    """What is begun in one is seen, gone on with, and ended in the other."""
    one = stage.desk()
    two = stage.desk(beside=one)
    one.pay(8000)
    expect(two.device).to_contain_text("Present card")
    expect(two.device).to_contain_text("80.00")
    two.card(OFFLINE).click()
    for desk in (one, two):
        expect(desk.device.get_by_role("group", name="PIN pad").get_by_role("button", name="1", exact=True)).to_be_enabled()
        # One card is on the reader, for both.
        expect(desk.device.locator(".held svg")).to_have_count(1)
    for digit in "1234":
        one.device.get_by_role("button", name=digit, exact=True).click()
    one.device.get_by_role("button", name="Confirm the PIN").click()
    for desk in (one, two):
        desk.finished("approved")
        expect(desk.device.get_by_role("button", name="Confirm the PIN")).to_be_disabled()
    trace = one.daemon.get("/v1/payments")["items"][0]["id"]
    sent = sum(1 for line in text(one.daemon, f"/v1/payments/{trace}/trace").splitlines() if line.startswith("> "))
    for desk in (one, two):
        expect(desk.page.locator(".exchange .apdu")).to_have_count(sent)
    # A page that is opened in the middle has the payment from its beginning.
    two.pay(990)
    three = stage.desk(beside=one)
    expect(three.device).to_contain_text("9.90")
    three.till.get_by_role("button", name=re.compile("^Cancel")).click()
    for desk in (one, two, three):
        desk.finished("cancelled")


def the_daemon_comes_back(stage):
    daemon = stage.another()
    made = daemon.call("POST", "/v1/terminals", {})["id"]
    desk = stage.desk(daemon=daemon)
    other = stage.desk(f"#/terminal/{made}", daemon=daemon)
    desk.pay(1500)
    daemon.stop()
    banner = desk.page.locator("#connection")
    expect(banner).to_contain_text("cannot be reached")
    expect(desk.page.locator(".connection")).to_contain_text("connection lost")
    audit(desk, "the line is down", "body")
    desk.picture("line-down")
    daemon.start()
    expect(banner).to_be_empty()
    expect(desk.page.locator(".connection")).to_contain_text("live")
    # The payment has not outlived the daemon; the next one is taken.
    expect(desk.till.get_by_role("button", name=re.compile("^Charge"))).to_be_visible()
    expect(desk.device).not_to_contain_text("15.00")
    desk.complaints.clear()
    desk.pay(1600, OFFLINE)
    desk.finished("approved")
    # A terminal that was made by hand is no more: the page says so and shows one that is.
    expect(other.page.locator(".picker-name")).not_to_have_text(made)
    other.is_live()
    other.complaints.clear()


# The longest that the page held everything up, in milliseconds.
WATCH = """
window.longest = 0;
new PerformanceObserver((list) => { for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration); })
  .observe({ type: 'longtask', buffered: true });
"""


def chooses_among_a_thousand(stage):
    daemon = stage.another("--terminals", "1000")
    ids = [terminal["id"] for terminal in daemon.all("/v1/terminals")]
    assert len(ids) == 1000
    desk = stage.desk(daemon=daemon, before=WATCH)
    expect(desk.page.locator(".picker-name")).to_have_text(ids[0])
    picker = desk.page.locator(".picker")
    picker.click()
    dialog = desk.page.get_by_role("dialog", name="Terminals")
    search = dialog.get_by_role("searchbox", name="Search terminals")
    expect(search).to_be_focused()
    number = dialog.get_by_role("status")
    expect(number).to_have_text("1000 of 1000 terminals")
    items = dialog.get_by_role("listitem")
    assert 5 < items.count() < 40, "only those in sight are there"
    audit(desk, "terminals", "dialog")
    desk.picture("terminals")
    # By key: to the last one, back to the first, up into the search.
    desk.page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("button", name=re.compile(ids[0]))).to_be_focused()
    desk.page.keyboard.press("End")
    expect(dialog.get_by_role("button", name=re.compile(ids[-1]))).to_be_focused()
    desk.page.keyboard.press("ArrowUp")
    expect(dialog.get_by_role("button", name=re.compile(ids[-2]))).to_be_focused()
    desk.page.keyboard.press("Home")
    desk.page.keyboard.press("ArrowUp")
    expect(search).to_be_focused()
    wanted = ids[736]
    search.fill(wanted.lower())
    expect(items).to_have_count(1)
    expect(number).to_have_text("1 of 1000 terminals")
    desk.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(desk.page.locator(".picker-name")).to_have_text(wanted)
    assert desk.page.url.endswith("#/terminal/" + wanted)
    desk.is_live()
    desk.pay(450)
    picker.click()
    search.fill("waiting for card")
    expect(number).to_have_text("1 of 1000 terminals")
    expect(items).to_contain_text(wanted)
    search.fill("nowhere")
    expect(dialog).to_contain_text("No terminal is called that")
    # Escape empties the search before it closes the dialog.
    search.fill("")
    expect(dialog).to_contain_text("No terminal is called that")
    search.fill("")
    desk.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    desk.card(OFFLINE).click()
    desk.finished("approved")
    assert daemon.get("/v1/payments")["items"][0]["terminal"] == wanted
    nodes = desk.page.evaluate("() => document.querySelectorAll('*').length")
    assert nodes < 4000, nodes
    longest = desk.page.evaluate("() => window.longest")
    # Far above what people notice: machines that build meanwhile have the rest.
    assert longest < 5000, f"the page stood still for {longest} ms"


def makes_a_terminal(stage):
    """One from the dialog, one from a profile with a mistake, and away with it."""
    desk = stage.desk()
    first = desk.page.locator(".picker-name").inner_text()
    desk.page.locator(".picker").click()
    dialog = desk.page.get_by_role("dialog", name="Terminals")
    dialog.get_by_text("Another terminal").click()
    dialog.get_by_label("Terminal profile as YAML").fill("id: some\nmerchnat: Nobody\n")
    dialog.get_by_role("button", name="Add terminal").click()
    expect(dialog.get_by_role("alert").filter(has_text=re.compile("Line|profile")).first).to_be_visible()
    audit(desk, "another terminal", "dialog")
    desk.picture("terminal-dialog")
    dialog.get_by_label("Terminal profile as YAML").fill("")
    dialog.get_by_label(re.compile("^Name")).fill("CORNER01")
    dialog.get_by_role("button", name="Add terminal").click()
    expect(desk.page.locator(".picker-name")).to_have_text("CORNER01")
    desk.is_live()
    desk.page.locator(".picker").click()
    dialog.get_by_text("Another terminal").click()
    dialog.get_by_role("button", name="Remove CORNER01").click()
    expect(desk.page.locator(".picker-name")).to_have_text(first)
    until(lambda: "CORNER01" not in [each["id"] for each in desk.daemon.all("/v1/terminals")], "removal")
    desk.forgive("400")


def signing_in_and_out(stage):
    """The page asks for a token, keeps its streams by a session, begins a new one when the daemon was restarted, and ends it."""
    token = "tapbridge_" + secrets.token_urlsafe(32)
    configuration = stage.folder / "with-token.yaml"
    configuration.write_text(f"tokens: [{{name: till, role: operator, sha256: {hashlib.sha256(token.encode()).hexdigest()}}}]\n")
    daemon = stage.another("--config", str(configuration))
    context = stage.browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(daemon.address + "/")
    dialog = page.get_by_role("dialog")
    for candidate in ("wrong", token):
        dialog.get_by_label("Token").fill(candidate)
        dialog.get_by_role("button", name="Sign in").click()
        if candidate != token:
            expect(dialog.get_by_role("alert")).to_contain_text("not one of the daemon's")
    connection = page.locator(".connection")
    expect(connection).to_contain_text("live")

    def session():
        [cookie] = context.cookies()
        assert cookie["name"] == "tapbridge_session" and cookie["httpOnly"] and cookie["sameSite"] == "Strict", cookie
        assert token not in cookie["value"]
        return f"tapbridge_session={cookie['value']}"

    first = session()
    assert daemon.call("GET", "/v1/status", headers={"Cookie": first})["role"] == "operator"
    # Sessions end with the daemon; the page begins another by itself.
    daemon.stop()
    expect(connection).to_contain_text("connection lost")
    daemon.start()
    expect(connection).to_contain_text("live")
    second = session()
    assert second != first
    page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()
    until(lambda: not context.cookies(), "the cookie is taken back")
    for cookie in (first, second):
        try:
            daemon.call("GET", "/v1/status", headers={"Cookie": cookie})
        except urllib.error.HTTPError as error:
            assert error.code == 401, error
        else:
            raise AssertionError("the session goes on after signing out")
    context.close()


TESTS = [two_tabs_stay_in_step, the_daemon_comes_back, chooses_among_a_thousand, makes_a_terminal, signing_in_and_out]
