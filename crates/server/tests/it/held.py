"""What every page is held to in Chromium. Scripts of tests come after it."""

import os
import sys
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

faults = []
# Where pictures are to go, for who wants to look.
pictures = os.environ.get("PICTURES")


def watch(page):
    page.on("console", lambda m: faults.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: faults.append(f"{page.url}: {e}"))


def until(page, says, what):
    for _ in range(2_400):
        try:
            if page.evaluate(says):
                return
        except Exception as error:
            # Between two pages there is nothing to ask.
            if "context was destroyed" not in str(error):
                raise
        page.wait_for_timeout(50)
    raise SystemExit(f"{page.url}: never {what}: {page.inner_text('body')[:2000]}")


def held(page, name):
    """No script of a log ran, nothing is wider than the window, and axe finds nothing."""
    if page.evaluate("window.bad"):
        faults.append(f"{page.url}: a name was obeyed")
    if page.evaluate("document.documentElement.scrollWidth") > page.viewport_size["width"]:
        faults.append(f"{name}: wider than the window")
    result = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    for v in result.response["violations"]:
        faults.append(f"{name}: {v['id']}: {v['nodes'][0]['html'][:300]}")
    if pictures:
        page.screenshot(path=f"{pictures}/live-{name}.png")


def ask(question):
    """Of the test that runs this script."""
    print(f"?{question}", flush=True)
    return sys.stdin.readline().strip()


def end():
    """Says what is wrong; ends with 1 if anything is."""
    if faults:
        print("\n".join(dict.fromkeys(faults)))
        sys.exit(1)
