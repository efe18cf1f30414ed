"""Payments at the console, by click, drag, finger and keyboard."""
import re

from playwright.sync_api import expect

from accessibility import audit
from desk import NARROW, text, until

OFFLINE = "Visa debit, offline capable"


def takes_a_payment(stage):
    """An offline approval: lights, message, exchange, timings, results, receipt."""
    desk = stage.desk()
    audit(desk, "idle")
    desk.picture("idle")
    desk.pay(1250)
    expect(desk.device.locator(".light.on, .light.blinking").first).to_be_visible()
    audit(desk, "waiting for a card", ".terminal-view")
    desk.picture("waiting")
    desk.card(OFFLINE).click()
    payment = desk.finished("approved")
    assert payment["result"]["online"] is False, payment
    # Those who do not see it are told.
    expect(desk.page.locator("#announcer")).to_have_text("Payment approved")
    expect(desk.main).to_contain_text("GET PROCESSING OPTIONS")
    audit(desk, "approved")
    desk.picture("approved")
    for tab, words in [("Timings", "Waiting for people"), ("Results", "Terminal Verification Results"),
                       ("Host", "Nothing was sent"), ("Receipt", "APPROVED OFFLINE"), ("Exchange", "READ RECORD")]:
        desk.tab(tab)
        expect(desk.main).to_contain_text(words)
        audit(desk, tab, ".engineer")
        desk.picture("tab-" + tab.lower())
    desk.button("Expand all").click()
    expect(desk.main).to_contain_text("Application Cryptogram")
    audit(desk, "expanded", ".exchange > li:has(.tree)")
    desk.picture("expanded")


def unlocks_a_phone(stage):
    """A locked phone: "see phone", unlocked, tapped again, approved by the host."""
    desk = stage.desk()
    phone = "Google Pay type wallet, Visa"
    desk.pay(6400, phone)
    expect(desk.device).to_contain_text("Present card again")
    desk.picture("see-phone")
    desk.button(f"Unlock {phone}").click()
    desk.button(f"Tap {phone}, unlocked phone").click()
    desk.finished("approved")
    desk.tab("Host")
    expect(desk.main).to_contain_text("Chip data")
    audit(desk, "Host", ".engineer")
    desk.picture("tab-host-online")
    # Its lock is as the daemon has it, and turns.
    is_locked = next(each for each in desk.daemon.all("/v1/cards") if each["title"] == phone)["locked"]
    for verb in [("Lock ", "Unlock ")[is_locked], ("Unlock ", "Lock ")[is_locked]]:
        desk.button(verb + phone, exact=True).click()


def enters_a_pin(stage):
    desk = stage.desk()
    desk.pay(8000, OFFLINE)
    pad = desk.device.get_by_role("group", name="PIN pad")
    one = pad.get_by_role("button", name="1", exact=True)
    expect(one).to_be_enabled()
    expect(one).to_be_focused()
    confirm = pad.get_by_role("button", name="Confirm the PIN")
    for digit in "123":
        pad.get_by_role("button", name=digit, exact=True).click()
    expect(confirm).to_be_disabled()
    desk.page.keyboard.press("4")
    audit(desk, "PIN", ".customer")
    desk.picture("pin")
    confirm.click()
    desk.finished("approved")
    desk.tab("Results")
    expect(desk.main).to_contain_text("CVM Results")
    desk.picture("tab-results-pin")
    assert "1234" not in desk.device.inner_text()


def enters_a_pin_on_a_phone(stage):
    """On a small screen, with fingers: the whole pad and the amount are in sight when the PIN is asked for."""
    desk = stage.desk(viewport=NARROW, has_touch=True)
    for digit in "8000":
        desk.till.get_by_role("button", name=digit, exact=True).tap()
    desk.picture("narrow-till")
    audit(desk, "till, narrow")
    desk.till.get_by_role("button", name=re.compile("^Charge")).tap()
    expect(desk.device).to_contain_text("Present card")
    desk.picture("narrow-customer")
    audit(desk, "customer, narrow")
    desk.card(OFFLINE).tap()
    pad = desk.device.get_by_role("group", name="PIN pad")
    expect(pad.get_by_role("button", name="1", exact=True)).to_be_enabled()
    desk.is_within(pad.get_by_role("button"))
    desk.is_within(desk.device.locator(".screen-amount"))
    # A finger is 24 px wide at least (WCAG 2.5.8), and comfortably 40.
    for key in pad.get_by_role("button").all():
        box = key.bounding_box()
        assert box["width"] >= 40 and box["height"] >= 40, box
    for digit in "1234":
        pad.get_by_role("button", name=digit, exact=True).tap()
    audit(desk, "PIN, narrow", ".customer")
    desk.picture("narrow-pin")
    pad.get_by_role("button", name="Confirm the PIN").tap()
    payment = desk.finished("approved")
    assert payment["result"]["cvm"], payment
    desk.picture("narrow-approved")
    desk.pane("Exchange")
    for tab in ["Timings", "Results", "Host", "Receipt", "Exchange"]:
        desk.tab(tab)
        audit(desk, tab + ", narrow", ".engineer")
        desk.picture("narrow-" + tab.lower())
        desk.is_within(desk.page.get_by_role("tablist").and_(desk.page.locator(":visible")))


def cancels(stage):
    desk = stage.desk()
    desk.pay(990)
    desk.till.get_by_role("button", name=re.compile("^Cancel")).click()
    desk.finished("cancelled")


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drags_a_card(stage):
    """Dropped on the terminal it is tapped, dropped elsewhere it is not."""
    desk = stage.desk()
    taps = []
    desk.page.on("request", lambda request: taps.append(request.post_data) if request.url.endswith("/taps") else None)
    desk.pay(700)
    card = desk.card(OFFLINE).first
    mouse = desk.page.mouse

    def drag(target):
        card.scroll_into_view_if_needed()
        mouse.move(*middle(card))
        mouse.down()
        x, y = middle(card)
        mouse.move(x + 3, y + 3)
        expect(desk.page.locator(".ghost")).to_have_count(0)
        mouse.move(*target, steps=8)
        expect(desk.page.locator(".ghost")).to_have_count(1)

    drag(middle(desk.till))
    expect(desk.page.locator(".landing.is-over")).to_have_count(0)
    mouse.up()
    expect(desk.page.locator(".ghost")).to_have_count(0)
    drag(middle(desk.device.locator(".landing")))
    expect(desk.page.locator(".landing.is-over")).to_have_count(1)
    desk.picture("drag")
    mouse.up()
    desk.finished("approved")
    assert len(taps) == 1, taps


def drags_with_a_finger(stage):
    """A finger that rests on a card takes it up; one that sweeps over it does not."""
    desk = stage.desk(has_touch=True)
    taps = []
    desk.page.on("request", lambda request: taps.append(request.post_data) if request.url.endswith("/taps") else None)
    desk.pay(800)
    card = desk.card(OFFLINE).first
    finger = desk.context.new_cdp_session(desk.page)

    def touch(kind, *points):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    card.scroll_into_view_if_needed()
    x, y = middle(card)
    touch("touchStart", (x, y))
    for step in range(1, 8):
        touch("touchMove", (x - 20 * step, y))
    touch("touchEnd")
    expect(desk.page.locator(".ghost")).to_have_count(0)
    card.scroll_into_view_if_needed()
    touch("touchStart", middle(card))
    expect(desk.page.locator(".ghost")).to_have_count(1)
    touch("touchMove", middle(desk.device.locator(".landing")))
    expect(desk.page.locator(".landing.is-over")).to_have_count(1)
    touch("touchEnd")
    desk.finished("approved")
    assert len(taps) == 1, taps


# Notes down what would be heard.
EAR = """
window.heard = [];
window.AudioContext = class {
  currentTime = 100;
  destination = {};
  resume() { return Promise.resolve(); }
  createGain() { return { gain: { setValueAtTime() {}, linearRampToValueAtTime() {} }, connect: (next) => next }; }
  createOscillator() {
    const tone = { frequency: { value: 0 }, connect: (next) => next, start(at) { tone.began = at; },
      stop(at) { window.heard.push([tone.frequency.value, +(tone.began - 100).toFixed(3), +(at - 100).toFixed(3)]); } };
    return tone;
  }
};
"""
# EMV Contactless Book A, 9.3.
SUCCESS = [[1500, 0, 0.5]]
ALERT = [[750, 0, 0.2], [750, 0.4, 0.6]]


def sounds(stage):
    desk = stage.desk(before=EAR)
    heard = lambda: desk.page.evaluate("() => window.heard.splice(0)")
    desk.pay(300, OFFLINE)
    desk.finished("approved")
    assert (tones := heard()) == [], f"{tones}: sound is off until it is turned on"
    desk.button("Sound").click()
    desk.pay(400, OFFLINE)
    desk.finished("approved")
    assert (tones := heard()) == SUCCESS, tones
    desk.pay(500)
    desk.page.get_by_label("Two cards together").check()
    desk.button(re.compile("^Choose " + OFFLINE)).first.click()
    desk.button(re.compile("^Choose Visa credit")).first.click()
    until(lambda: desk.page.evaluate("() => window.heard.length") >= 2, "an alert")
    # After a collision the first card stays alone.
    desk.finished("approved")
    assert (tones := heard()) == ALERT + SUCCESS, tones
    desk.button("Sound").click()
    desk.pay(600, OFFLINE)
    desk.finished("approved")
    assert (tones := heard()) == [], tones


def speaks_to_the_customer(stage):
    """The display in each of the terminal's languages, as the daemon has them."""
    desk = stage.desk()
    desk.pay(600)
    choice = desk.page.get_by_label("Language of the display").first
    terminal = desk.daemon.get("/v1/terminals")["items"][0]
    texts = terminal["display"]["texts"]
    assert len(texts) > 1 and len(set(texts.values())) > 1, texts
    for code, text in texts.items():
        choice.select_option(code)
        message = desk.device.locator(".screen-message")
        expect(message).to_have_attribute("lang", code)
        shown = message.inner_text()
        assert shown and text.startswith(shown), (shown, text)
        desk.picture("language-" + code)
    desk.till.get_by_role("button", name=re.compile("^Cancel")).click()
    desk.finished("cancelled")


def adds_a_card_of_ones_own(stage):
    """A profile pasted with a mistake, mended, tapped and removed; another from a file."""
    desk = stage.desk()
    with_titles = re.sub(r"(?m)^title: .*$", "title: Own card of the till", text(desk.daemon, "/v1/card-profiles/visa-debit"))
    broken = with_titles.replace("scheme: visa", "scheme: visum", 1)
    line = broken[:broken.index("scheme: visum")].count("\n") + 1
    desk.button("Add or change").click()
    dialog = desk.page.get_by_role("dialog", name="Cards and wallets")
    dialog.get_by_text("Write, paste or open a profile").click()
    area = dialog.get_by_label("Profile as YAML")
    area.fill(broken)
    dialog.get_by_label("Name (optional)").fill("own")
    dialog.get_by_role("button", name="Add", exact=True).click()
    error = dialog.get_by_role("button", name=re.compile(f"^Line {line}\\b"))
    expect(error).to_be_visible()
    expect(dialog.get_by_role("alert").filter(has_text="visum")).to_be_visible()
    error.click()
    selected = area.evaluate("(area) => area.value.slice(area.selectionStart, area.selectionEnd)")
    assert "scheme: visum" in selected and "\n" not in selected, selected
    audit(desk, "cards", "dialog")
    desk.picture("card-dialog")
    desk.forgive("400")
    area.fill(with_titles)
    expect(error).to_have_count(0)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_have_count(0)
    card = desk.card("Own card of the till")
    expect(card).to_be_visible()
    desk.pay(750, "Own card of the till")
    desk.finished("approved")

    desk.button("Add or change").click()
    dialog.get_by_text("Write, paste or open a profile").click()
    with desk.page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="Open a file").click()
    chooser.value.set_files({"name": "card.yaml", "mimeType": "application/yaml", "buffer": with_titles.replace("Own card", "Other card").encode()})
    expect(area).to_have_value(re.compile("Other card"))
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(desk.card("Other card of the till")).to_be_visible()

    desk.button("Add or change").click()
    for title in ("Other card", "Own card"):
        choice = dialog.get_by_label("Card or wallet")
        choice.select_option(label=choice.locator("option", has_text=title).inner_text())
        dialog.get_by_role("button", name="Remove").click()
        expect(choice.locator("option", has_text=title)).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    expect(card).to_have_count(0)
    assert not [each for each in desk.daemon.all("/v1/cards") if "card of the till" in each["title"]]


def by_keyboard_alone(stage):
    """From the first link to a payment and a tap, with Tab and Enter."""
    desk = stage.desk(color_scheme="dark")

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
    walk(lambda name: name.startswith("Tap Visa credit"))
    desk.page.keyboard.press("Enter")
    desk.finished("approved")
    colour = desk.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert sum(int(x) for x in re.findall(r"\d+", colour)[:3]) < 300, colour


TESTS = [takes_a_payment, unlocks_a_phone, enters_a_pin, enters_a_pin_on_a_phone, cancels, drags_a_card, drags_with_a_finger,
         sounds, speaks_to_the_customer, adds_a_card_of_ones_own, by_keyboard_alone]
