"""Responses that come late: what was asked for before is never shown in place of what was asked for after it."""
import json
import re

from playwright.sync_api import expect

from desk import Held, text

OFFLINE = "Visa debit, offline capable"
FIRST, SECOND, THIRD = "visa-credit-online", "visa-debit-offline", "mc-credit-online"


def title(daemon, trace):
    return re.search("(?m)^title: (.*)$", text(daemon, f"/v1/traces/{trace}")).group(1)


def compares_what_was_chosen_last(stage):
    desk = stage.desk("#/compare")
    left, right = (desk.page.get_by_label(side, exact=True) for side in ("Left", "Right"))
    first = Held(desk, "POST", f"/v1/traces/{FIRST}/replay")
    left.select_option(f"trace:{FIRST}")
    first.wait()
    left.select_option(f"trace:{SECOND}")
    right.select_option(f"trace:{THIRD}")
    names = desk.page.locator(".results thead th")
    expect(names).to_have_text(["Result", SECOND, THIRD])
    first.release()
    expect(names).to_have_text(["Result", SECOND, THIRD])
    # The list of what there is comes late: it sets no choice back.
    offered = Held(desk, "GET", r"/v1/traces\?")
    left.select_option("")
    offered.wait()
    left.select_option(f"trace:{FIRST}")
    expect(names).to_have_text(["Result", FIRST, THIRD])
    offered.release()
    expect(left).to_have_value(f"trace:{FIRST}")
    expect(right).to_have_value(f"trace:{THIRD}")
    expect(names).to_have_text(["Result", FIRST, THIRD])


def replays_what_was_chosen_last(stage):
    desk = stage.desk("#/traces")
    heading = desk.page.locator(".stage-head h2")
    choose = lambda name: desk.page.locator(f".trace-list a[href='#/traces/{name}']").click()
    first = Held(desk, "POST", f"/v1/traces/{FIRST}/replay")
    choose(FIRST)
    first.wait()
    choose(SECOND)
    expect(heading).to_have_text(title(desk.daemon, SECOND))
    first.release()
    expect(heading).to_have_text(title(desk.daemon, SECOND))
    # Back at the one in sight while another is under way.
    third = Held(desk, "POST", f"/v1/traces/{THIRD}/replay")
    choose(THIRD)
    third.wait()
    choose(SECOND)
    expect(desk.page).to_have_url(re.compile(SECOND))
    third.release()
    expect(heading).to_have_text(title(desk.daemon, SECOND))
    # And back at none.
    third = Held(desk, "POST", f"/v1/traces/{THIRD}/replay")
    choose(THIRD)
    third.wait()
    desk.go("Traces")
    expect(desk.main).to_contain_text("Choose a trace")
    third.release()
    expect(desk.page.locator(".stage")).to_be_hidden()


def opens_the_transaction_chosen_last(stage):
    daemon = stage.another()
    ids = [paid(daemon, amount) for amount in (1100, 2200)]
    desk = stage.desk("#/journal", daemon=daemon)
    rows = desk.page.locator(".journal-row:not(.heading)")
    status = desk.page.locator(".journal-panel").get_by_role("status")
    expect(rows).to_have_count(2)
    details = desk.page.get_by_role("region", name="Transaction")
    choose = lambda id: desk.page.locator(f".journal-row a[href='#/journal/{id}']").click()
    first = Held(desk, "GET", f"/v1/journal/{ids[0]}")
    choose(ids[0])
    first.wait()
    choose(ids[1])
    expect(details).to_contain_text(ids[1])
    first.release()
    expect(details).to_contain_text(ids[1])
    # The same one twice: an answer from before it was voided does not hide that it was.
    before = Held(desk, "GET", f"/v1/journal/{ids[0]}")
    choose(ids[0])
    before.wait()
    daemon.call("POST", f"/v1/payments/{ids[0]}/void", {})
    choose(ids[1])
    choose(ids[0])
    expect(details.locator(".history")).to_contain_text("Reversed")
    before.release()
    expect(details.locator(".history")).to_contain_text("Reversed")
    # A filter that is given up.
    state = desk.page.get_by_role("combobox", name=re.compile("^State"))
    none = Held(desk, "GET", r"/v1/journal\?state=cancelled")
    state.select_option("cancelled")
    none.wait()
    state.select_option("")
    expect(status).to_have_text("2 transactions")
    none.release()
    expect(status).to_have_text("2 transactions")


def ended(daemon):
    """The latest payment, at its end."""
    return daemon.get(f"/v1/payments/{daemon.get('/v1/payments')['items'][0]['id']}?wait=60")


def paid(daemon, amount):
    terminal = daemon.all("/v1/terminals")[0]["id"]
    daemon.pay(f"late-{amount}", terminal=terminal, amount=amount, tap={"card": "visa-debit"})
    payment = ended(daemon)
    assert payment["result"]["status"] == "approved", payment
    return payment["id"]


def shows_the_terminal_chosen_last(stage):
    daemon = stage.another("--terminals", "2")
    first, second = [each["id"] for each in daemon.all("/v1/terminals")]
    desk = stage.desk(f"#/terminal/{second}", daemon=daemon)
    name = desk.page.locator(".picker-name")
    place = lambda hash: desk.page.evaluate("(hash) => { location.hash = hash; }", hash)
    streams = []
    desk.page.on("request", lambda request: streams.append(request.url) if "/v1/events?" in request.url else None)
    # There and back again while the first is still being read: it is followed once.
    late = Held(desk, "GET", f"/v1/terminals/{first}$")
    place(f"#/terminal/{first}")
    late.wait()
    place(f"#/terminal/{second}")
    expect(name).to_have_text(second)
    place(f"#/terminal/{first}")
    expect(name).to_have_text(first)
    desk.is_live()
    late.release()
    expect(name).to_have_text(first)
    assert len([url for url in streams if url.endswith(first)]) == 1, streams
    # A payment that was begun at a terminal that is not in sight any more is not shown at the other one.
    late = Held(desk, "POST", "/v1/payments$")
    desk.till.get_by_role("button", name=re.compile("^Charge")).click()
    late.wait()
    place(f"#/terminal/{second}")
    expect(name).to_have_text(second)
    desk.is_live()
    desk.pay(300, OFFLINE)
    desk.finished("approved")
    late.release()
    expect(desk.page.locator(".exchange .apdu").first).to_be_visible()
    expect(desk.page.locator("[aria-label='Payment shown']")).to_have_value("live")
    for payment in daemon.get("/v1/payments")["items"]:
        if payment["state"] != "finished":
            daemon.call("POST", f"/v1/payments/{payment['id']}/cancel")


def shows_the_first_terminal_only_if_no_other_was_chosen(stage):
    daemon = stage.another("--terminals", "2")
    second = daemon.all("/v1/terminals")[1]["id"]
    desk = stage.desk(daemon=daemon)
    first = Held(desk, "GET", r"/v1/terminals\?limit=1$")
    desk.page.reload()
    first.wait()
    desk.page.evaluate("(id) => { location.hash = `#/terminal/${id}`; }", second)
    expect(desk.page.locator(".picker-name")).to_have_text(second)
    desk.is_live()
    asked = []
    desk.page.on("request", lambda request: asked.append(request.url))
    first.release()
    expect(desk.page.locator(".picker-name")).to_have_text(second)
    assert not [url for url in asked if "/v1/terminals/" in url and second not in url], asked


def counts_the_batch_as_it_is_now(stage):
    daemon = stage.another()
    desk = stage.desk(daemon=daemon)
    batch = desk.page.locator(".batch")
    old = Held(desk, "GET", "/v1/terminals/[^/]*/batch")
    desk.pay(1100, OFFLINE)
    desk.finished("approved")
    old.wait()
    # Whatever was drawn by now is not what comes next.
    batch.evaluate("(box) => box.replaceChildren()")
    desk.pay(2200, OFFLINE)
    desk.finished("approved")
    expect(batch).to_contain_text("Held")
    old.release(body=json.dumps({**old.kept[0][1].json(), "held": 4711}))
    expect(batch).to_contain_text("Held")
    expect(batch).not_to_contain_text("4711")


def keeps_a_phone_unlocked(stage):
    """The phone is read again after each tap; what is read from before it was unlocked is not shown."""
    daemon = stage.another()
    desk = stage.desk(daemon=daemon)
    phone = next(each for each in daemon.all("/v1/cards") if each["kind"] == "phone" and each["locked"])
    old = Held(desk, "GET", f"/v1/cards/{phone['id']}$")
    desk.pay(900, phone["title"])
    old.wait()
    desk.button("Unlock " + phone["title"], exact=True).click()
    lock = desk.button("Lock " + phone["title"], exact=True)
    expect(lock).to_be_visible()
    old.release()
    expect(lock).to_be_visible()
    # All of them, read before one was locked.
    daemon.call("POST", f"/v1/payments/{daemon.get('/v1/payments')['items'][0]['id']}/cancel")
    ended(daemon)
    old = Held(desk, "GET", r"/v1/cards\?")
    desk.button("Add or change").click()
    dialog = desk.page.get_by_role("dialog", name="Cards and wallets")
    dialog.get_by_role("button", name="Add", exact=True).click()
    old.wait()
    desk.page.keyboard.press("Escape")
    lock.click()
    unlock = desk.button("Unlock " + phone["title"], exact=True)
    expect(unlock).to_be_visible()
    old.release()
    expect(unlock).to_be_visible()


def begins_from_the_profile_chosen_last(stage):
    desk = stage.desk()
    desk.button("Add or change").click()
    dialog = desk.page.get_by_role("dialog", name="Cards and wallets")
    dialog.get_by_text("Write, paste or open a profile").click()
    base = dialog.get_by_role("combobox", name=re.compile("^Profile"))
    begin = dialog.get_by_role("button", name="Begin from this profile")
    first = Held(desk, "GET", "/v1/card-profiles/visa-debit$")
    base.select_option("visa-debit")
    begin.click()
    first.wait()
    base.select_option("mc-credit")
    begin.click()
    wanted = text(desk.daemon, "/v1/card-profiles/mc-credit")
    area = dialog.get_by_label("Profile as YAML")
    expect(area).to_have_value(wanted)
    first.release()
    expect(area).to_have_value(wanted)


TESTS = [compares_what_was_chosen_last, replays_what_was_chosen_last, opens_the_transaction_chosen_last,
         shows_the_terminal_chosen_last, shows_the_first_terminal_only_if_no_other_was_chosen, counts_the_batch_as_it_is_now,
         keeps_a_phone_unlocked, begins_from_the_profile_chosen_last]
