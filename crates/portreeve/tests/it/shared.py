"""Anna signs in at the provider and takes a case. Ends with 1 if anything is wrong."""

import sys
from playwright.sync_api import sync_playwright

base, password, pictures = sys.argv[1:4]
faults = []

with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    page.on("console", lambda m: faults.append(f"{page.url}: {m.text}") if m.type == "error" and page.url.startswith(base) else None)
    page.goto(f"{base}/queue?queue=escalate", wait_until="load")
    page.click("a[href^='/sign-in/oidc']")
    # The provider's own page, and its question whether Portreeve may know who she is.
    page.fill("#username", "anna")
    page.fill("#password", password)
    page.keyboard.press("Enter")
    for _ in range(600):
        if page.url.startswith(base):
            break
        button = page.locator("button:visible:has-text('Continue'), button:visible:has-text('Grant'), button:visible:has-text('Next')")
        box = page.locator("input[type=checkbox]:visible:not(:checked)")
        if box.count():
            box.first.check()
        elif button.count():
            button.first.click()
        page.wait_for_timeout(100)
    page.wait_for_url(f"{base}/queue?queue=escalate")
    for _ in range(600):
        if page.locator("table.rows tbody tr").count() >= 7:
            break
        page.wait_for_timeout(200)
        page.reload()
    if "Anna Berg" not in page.inner_text("header.bar"):
        faults.append(f"nobody is signed in: {page.inner_text('header.bar')}")
    if pictures:
        page.screenshot(path=f"{pictures}/shared-queue.png")
    page.keyboard.press("j")
    page.wait_for_timeout(1_000)
    page.keyboard.press("a")
    page.wait_for_selector(".notice")
    if "is anna" not in page.inner_text(".notice"):
        faults.append(page.inner_text(".notice"))
    browser.close()

if faults:
    print("\n".join(faults))
    sys.exit(1)
