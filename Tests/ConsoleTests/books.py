"""Traces, comparison and journal."""
import concurrent.futures
import csv
import datetime
import json
import pathlib
import re

from playwright.sync_api import expect

from accessibility import audit
from desk import MIDDLE, NARROW, ROOT, until


def replays_a_trace(stage):
    """Step by step, forward and back, by button and by key."""
    desk = stage.desk()
    desk.go("Traces")
    expect(desk.main).to_contain_text("Choose a trace")
    audit(desk, "traces")
    desk.picture("traces")
    desk.page.get_by_role("link", name=re.compile("A Mastercard pulled away during GENERATE AC")).click()
    slider = desk.page.get_by_role("slider", name="Step")
    expect(slider).to_be_focused()
    expect(slider).to_have_value("0")
    last = slider.get_attribute("max")
    for key, value in [("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1"), ("End", last), ("Home", "0")]:
        desk.page.keyboard.press(key)
        expect(slider).to_have_value(value)
    forward = desk.button("One step forward")
    device = desk.page.get_by_role("group", name="Terminal at this step")
    for _ in range(12):
        forward.click()
    expect(slider).to_have_value("12")
    expect(desk.page.locator(".exchange li.current:visible")).to_have_count(1)
    audit(desk, "replay")
    desk.picture("replay")
    desk.button("To the end").click()
    expect(slider).to_have_value(last)
    expect(desk.page.locator(".exchange li.future:visible")).to_have_count(0)
    expect(device.locator(".screen-message")).not_to_be_empty()
    expect(desk.main).to_contain_text("as recorded")
    desk.page.set_viewport_size(NARROW)
    audit(desk, "replay, narrow")
    desk.size = NARROW["width"]
    desk.picture("replay")


def uploads_a_trace(stage):
    """A file that is a trace, one that is none, and away with it."""
    desk = stage.desk("#/traces")
    good = (ROOT / "apdu-traces" / "visa-debit-offline.trace").read_text()

    def upload(name, text):
        with desk.page.expect_file_chooser() as chooser:
            desk.button("Upload").click()
        chooser.value.set_files({"name": name, "mimeType": "text/plain", "buffer": text.encode()})

    broken = good.replace("\n< ", "\n< XY", 1)
    line = broken[:broken.index("< XY")].count("\n") + 1
    upload("broken.trace", broken)
    alert = desk.page.get_by_role("alert").filter(has_text="The text is no trace")
    expect(alert).to_contain_text(re.compile(rf"\b{line}\b"))
    desk.picture("trace-refused")
    audit(desk, "a trace that is none", "#toasts")
    alert.get_by_role("button", name="Dismiss").first.click()
    desk.forgive("400")
    upload("My own Tap.trace", good)
    expect(desk.page.get_by_role("heading", name=re.search("(?m)^title: (.*)$", good).group(1))).to_be_visible()
    expect(desk.main).to_contain_text("as recorded")
    own = desk.page.get_by_role("link", name=re.compile("my-own-tap"))
    expect(own).to_have_attribute("aria-current", "page")
    assert [each for each in desk.daemon.all("/v1/traces") if each["name"] == "my-own-tap"][0]["builtIn"] is False
    # The same name again is another trace, and is shown as such.
    upload("My own Tap.trace", re.sub("(?m)^title: .*$", "title: Uploaded once more", good))
    expect(desk.page.get_by_role("heading", name="Uploaded once more")).to_be_visible()
    desk.picture("trace-uploaded")
    desk.button("Delete").click()
    expect(own).to_have_count(0)
    assert not [each for each in desk.daemon.all("/v1/traces") if each["name"] == "my-own-tap"]
    # What lies in the daemon's directory is not the page's to delete.
    desk.page.get_by_role("link", name=re.compile("visa-debit-offline")).click()
    expect(desk.main).to_contain_text("as recorded")
    expect(desk.button("Delete")).to_be_hidden()


def compares_two(stage):
    desk = stage.desk()
    desk.go("Compare")
    for label, name in [("Left", "visa-credit-online"), ("Right", "visa-debit-offline")]:
        desk.page.get_by_label(label, exact=True).select_option(f"trace:{name}")
    expect(desk.main).to_contain_text("GET PROCESSING OPTIONS")
    expect(desk.page.get_by_role("img", name="differs").first).to_be_visible()
    audit(desk, "compare")
    desk.picture("compare")
    every = desk.page.locator(".compare-row").count()
    desk.page.get_by_label("Differences only").check()
    equal = every - desk.page.locator(".compare-row").count()
    expect(desk.page.locator(".compare-row.equal")).to_have_count(0)
    assert 0 <= equal < every
    desk.button("Swap left and right").click()
    expect(desk.page.get_by_label("Left", exact=True)).to_have_value("trace:visa-debit-offline")
    desk.page.set_viewport_size(NARROW)
    audit(desk, "compare, narrow")
    desk.size = NARROW["width"]
    desk.picture("compare")


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def count_of(number):
    return f"{number} transaction" + ("" if number == 1 else "s")


def reads_the_journal(stage):
    """Some hundred transactions of two terminals: paging, filters, both exports, a transaction's history."""
    daemon = stage.another("--terminals", "24")
    terminals = [terminal["id"] for terminal in daemon.all("/v1/terminals")]

    def cancelled(index):
        payment = daemon.pay(f"console-{index}", terminal=terminals[index % len(terminals)], amount=100 + index)
        daemon.call("POST", f"/v1/payments/{payment['id']}/cancel")
        daemon.get(f"/v1/payments/{payment['id']}?wait=60")

    with concurrent.futures.ThreadPoolExecutor(len(terminals)) as pool:
        # Each terminal has one thread: it takes one payment at a time.
        list(pool.map(lambda first: [cancelled(index) for index in range(first, 216, len(terminals))], range(len(terminals))))
    cards = {"visa-debit": "approved", "mc-credit": "approved"}
    for index, card in enumerate(cards):
        payment = daemon.pay(f"console-card-{card}", terminal=terminals[index], amount=1000, tap={"card": card})
        assert daemon.get(f"/v1/payments/{payment['id']}?wait=60")["result"]["status"] == cards[card], payment
    entries = daemon.all("/v1/journal")
    assert len(entries) == 218

    desk = stage.desk("#/journal", daemon=daemon, timezone_id="Asia/Tokyo")
    rows = desk.page.locator(".journal-row:not(.heading)")
    status = desk.page.locator(".journal-panel").get_by_role("status")
    expect(status).to_contain_text("100 or more transactions")
    expect(rows.first).to_be_visible()
    assert rows.count() < 60, "only those in sight are there"
    audit(desk, "journal")
    desk.picture("journal")
    # To the end, by wheel.
    table = desk.page.get_by_role("table", name="Transactions")
    def scrolled():
        table.evaluate("(table) => { table.scrollTop = table.scrollHeight; }")
        return desk.page.locator(".journal-row[aria-rowindex='219']").count()
    until(scrolled, "all pages")
    expect(status).to_have_text("218 transactions")
    expect(desk.page.locator(".journal-row[aria-rowindex='219']")).to_be_visible()
    assert rows.count() < 60, rows.count()
    # And by key.
    desk.page.locator(".journal-row[aria-rowindex='219'] a").focus()
    desk.page.keyboard.press("PageUp")
    expect(desk.page.locator(".journal-row[aria-rowindex='209'] a")).to_be_focused()

    state = desk.page.get_by_role("combobox", name=re.compile("^State"))
    state.select_option("approved")
    wanted = [each for each in entries if each["state"] == "approved"]
    expect(status).to_have_text(count_of(len(wanted)))
    expect(rows).to_have_count(len(wanted))
    state.select_option("")
    desk.page.get_by_label("Terminal", exact=True).fill(terminals[1])
    wanted = [each for each in entries if each["terminal"] == terminals[1]]
    expect(status).to_have_text(count_of(len(wanted)))
    with desk.page.expect_download() as download:
        desk.button("JSON").click()
    exported = json.loads(pathlib.Path(download.value.path()).read_text())
    assert download.value.suggested_filename == "journal.json" and len(exported) == len(wanted)
    with desk.page.expect_download() as download:
        desk.button("CSV").click()
    lines = list(csv.DictReader(pathlib.Path(download.value.path()).read_text().splitlines()))
    assert [line["id"] for line in lines] == [each["id"] for each in exported], (lines, exported)
    assert {line["id"] for line in lines} == {each["id"] for each in wanted}
    desk.button("Clear").click()

    # From and until, in the reader's own time, to the second.
    moment = instant(entries[110]["createdAt"]).replace(microsecond=0)
    local = moment.astimezone(datetime.timezone(datetime.timedelta(hours=9))).strftime("%Y-%m-%dT%H:%M:%S")
    later = sum(instant(each["createdAt"]) >= moment for each in entries)
    total = lambda count: expect(status).to_have_text("100 or more transactions" if count > 100 else count_of(count))
    desk.page.get_by_label("From", exact=True).fill(local)
    total(later)
    desk.page.get_by_label("From", exact=True).fill("")
    desk.page.get_by_label("Until", exact=True).fill(local)
    total(len(entries) - later)
    desk.page.get_by_label("Until", exact=True).fill("2001-01-01T00:00:00")
    total(0)
    expect(desk.main).to_contain_text("No transaction")
    audit(desk, "an empty journal", ".journal-view")
    desk.picture("journal-empty")
    desk.button("Clear").click()
    last = next(each for each in entries if each.get("card"))["card"][-4:]
    desk.page.get_by_label("Last four digits").fill(last)
    expect(status).to_have_text("1 transaction")
    rows.first.get_by_role("link").click()
    details = desk.page.get_by_role("region", name="Transaction")
    expect(details).to_contain_text("History")
    expect(details.locator(".history li")).to_have_count(len(daemon.get(f"/v1/journal/{next(e['id'] for e in entries if (e.get('card') or '').endswith(last))}")["changes"]))
    audit(desk, "a transaction", ".journal-details")
    desk.picture("journal-entry")
    desk.button("Verify").click()
    expect(desk.page.get_by_role("alert")).to_contain_text("218 transactions")
    for size in (MIDDLE, NARROW):
        desk.page.set_viewport_size(size)
        desk.size = size["width"]
        desk.picture("journal-entry")
    audit(desk, "a transaction, narrow")


TESTS = [replays_a_trace, uploads_a_trace, compares_two, reads_the_journal]
