"""First contentful paint of the queue: a cold browser, and then with what it keeps."""

import shutil
import sys

base, name, value, times = sys.argv[1:5]
chromium = shutil.which("chromium") or shutil.which("chromium-browser")
if not chromium:
    raise SystemExit("there is no chromium")
try:
    from playwright.sync_api import sync_playwright
except ImportError:
    raise SystemExit("playwright is not installed")

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def paint(context):
    page = context.new_page()
    page.goto(f"{base}/queue", wait_until="load")
    if not page.url.startswith(f"{base}/queue"):
        raise SystemExit(f"not signed in: {page.url}")
    # The page's policy forbids what `wait_for_function` does.
    for _ in range(600):
        took = page.evaluate(PAINT)
        if took:
            page.close()
            return took
        page.wait_for_timeout(50)
    raise SystemExit("nothing was painted within 30 s")


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--no-proxy-server"])
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": name, "value": value, "url": base}])
    cold = paint(context)
    warm = sorted(paint(context) for _ in range(int(times)))
    browser.close()
at = lambda share: warm[round((len(warm) - 1) * share)]
print(f"cold {cold:.0f} ms; of {len(warm)} more p50 {at(0.5):.0f} ms, p95 {at(0.95):.0f} ms, max {at(1):.0f} ms")
