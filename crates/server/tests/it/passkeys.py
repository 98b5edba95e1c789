"""A person and their passkey in Chromium, over the service's own pages: set up, sign in with it alone and after the password."""

import sys
from playwright.sync_api import sync_playwright

base, token, password = sys.argv[1:4]
faults = []


def watch(page):
    expected = ("401", "403", "409", "422")
    refused = lambda text: text.startswith("Failed to load resource") and any(s in text for s in expected)
    page.on("console", lambda m: faults.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") and not refused(m.text) else None)
    page.on("pageerror", lambda e: faults.append(f"{page.url}: {e}"))


def stands(page, path):
    page.wait_for_url(lambda url: url.split("?")[0] == base + path)


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    watch(page)
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}
    key = tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    # The first person has to set up a second factor, and takes a passkey.
    page.goto(f"{base}/first-run?token={token}")
    page.fill("input[name=name]", "anna")
    page.fill("input[name=password]", password)
    page.fill("input[name=again]", password)
    page.click("text=Make the account")
    stands(page, "/account/totp")
    page.fill("input[name=name]", "laptop")
    page.click("button[data-passkey=add]")
    page.wait_for_selector("#passkey-codes code")
    if page.locator("#passkey-codes code").count() < 5:
        faults.append("no recovery codes are shown")
    page.goto(f"{base}/queue")
    stands(page, "/queue")

    # With the key alone.
    page.click("text=Sign out")
    stands(page, "/sign-in")
    page.goto(f"{base}/account")
    stands(page, "/sign-in")
    page.click("button[data-passkey=sign-in]")
    stands(page, "/account")
    if "laptop" not in page.content():
        faults.append("the account does not name the passkey")

    # After the password.
    page.click("text=Sign out")
    stands(page, "/sign-in")
    page.fill("input[name=name]", "anna")
    page.fill("input[name=password]", password)
    page.click("form[action='/sign-in'] button")
    stands(page, "/second-factor")
    page.click("button[data-passkey=second]")
    page.wait_for_url(lambda url: "/second-factor" not in url)
    page.goto(f"{base}/queue")
    stands(page, "/queue")

    # The only second factor stays; a key that nobody touches lets nobody in, and the page says so.
    page.goto(f"{base}/account")
    page.click("form[action='/account/passkeys/remove'] button")
    page.wait_for_load_state("load")
    if "only second factor" not in page.content():
        faults.append("the only second factor could be removed")
    page.goto(f"{base}/account")
    page.click("text=Sign out")
    stands(page, "/sign-in")
    tools.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": False})
    page.click("button[data-passkey=sign-in]")
    page.wait_for_selector("#passkey-says:not([hidden])")
    if "/sign-in" not in page.url:
        faults.append("a key that verified nobody let somebody in")

    # Without a script nothing is offered that cannot work.
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(f"{base}/sign-in")
    if plain.locator("button[data-passkey=sign-in]").is_visible():
        faults.append("a passkey is offered without scripts")
    browser.close()

if faults:
    print("\n".join(dict.fromkeys(faults)))
    sys.exit(1)
