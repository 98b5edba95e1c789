"""Pages in a real browser: nothing is refused by the policy, axe finds nothing, and a case is triaged by keyboard alone."""

import sys
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

base, pictures, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
faults = []


def watch(page):
    page.on("console", lambda m: faults.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: faults.append(f"{page.url}: {e}"))
    page.on("requestfailed", lambda r: None if "events" in r.url else faults.append(f"{r.url}: {r.failure}"))


def until(page, says):
    """Waits for it from outside: inside, the policy allows no evaluation of texts."""
    for _ in range(1200):
        try:
            if page.evaluate(says):
                return
        except Exception as error:
            # Between two pages there is nothing to ask.
            if "context was destroyed" not in str(error):
                raise
        page.wait_for_timeout(100)
    faults.append(f"{page.url}: never {says}")


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(120_000)
        watch(page)
        for name in names:
            page.goto(f"{base}/page/{name}", wait_until="load")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                faults.append(f"{name} at {width}: is {wide} wide")
            result = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            for v in result.response["violations"]:
                faults.append(f"{name} at {width} {scheme}: {v['id']}: {v['nodes'][0]['html'][:200]}")
            if pictures:
                page.screenshot(path=f"{pictures}/{name}-{width}-{scheme}.png", full_page=True)
        context.close()

    page = browser.new_page()
    page.set_default_timeout(120_000)
    watch(page)
    page.goto(f"{base}/queue?queue=escalate", wait_until="load")
    selected = "table.rows tr[aria-selected=true]"
    page.keyboard.press("j")
    page.wait_for_selector("table.rows tr[data-case='8'][aria-selected=true]")
    until(page, "location.search.includes('case=8')")
    page.keyboard.press("e")
    page.keyboard.type("jumps to the file server")
    page.keyboard.press("Enter")
    until(page, "document.body.textContent.includes('done: /cases/8/escalate')")
    until(page, f"document.activeElement === document.querySelector(\"{selected}\")")
    page.keyboard.press("k")
    until(page, "location.search.includes('case=7')")
    page.keyboard.press("x")
    page.wait_for_selector("#bulk input:checked")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("/")
    page.keyboard.type("jjee")
    if page.locator("#filter").input_value()[-4:] != "jjee":
        faults.append("keys act while somebody writes")
    page.keyboard.press("Escape")
    until(page, f"document.activeElement === document.querySelector(\"{selected}\")")
    browser.close()

if faults:
    print("\n".join(dict.fromkeys(faults)))
    sys.exit(1)
