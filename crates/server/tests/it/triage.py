"""What an analyst does in an evening. Begins with held.py."""

base, password = sys.argv[1:3]

with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    watch(page)

    # Where a link led is where one is after signing in.
    page.goto(f"{base}/queue?queue=escalate", wait_until="load")
    held(page, "sign-in")
    page.fill("input[name=name]", "anna")
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/second-factor**")
    page.fill("input[name=code]", ask("code"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue?queue=escalate")
    held(page, "queue")

    # Zones and colours.
    before = page.inner_text("#card")
    page.click("button[name=zone][value=mine]")
    until(page, "document.querySelector('button[value=mine]').getAttribute('aria-pressed') === 'true'", "another zone")
    page.click("button[name=theme][value=dark]")
    until(page, "document.documentElement.dataset.theme === 'dark'", "dark")
    held(page, "queue-dark")
    page.click("button[name=theme][value=system]")
    until(page, "document.documentElement.dataset.theme === 'system'", "as the system")

    # A case, taken by keyboard and given back.
    row = "table.rows tbody tr[aria-selected=true]"
    first = page.get_attribute(row, "data-case")
    page.keyboard.press("j")
    until(page, f"document.querySelector('{row}').dataset.case !== '{first}'", "the next row")
    page.keyboard.press("k")
    until(page, f"document.querySelector('{row}').dataset.case === '{first}'", "the row before")
    until(page, "!document.getElementById('card').hasAttribute('aria-busy')", "its answer")
    page.keyboard.press("a")
    until(page, "document.querySelector('.notice')?.textContent.includes('anna')", "taken")
    page.keyboard.press("u")
    until(page, "document.querySelector('.notice')?.textContent.includes('nobody')", "given back")

    # Its page, and who and what it is about; whoever is quick does not wait for the answer of the row that they pass.
    page.wait_for_load_state("load")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/*")
    case = page.url
    held(page, "case")
    user = page.get_attribute("[data-user]", "data-user")
    for name in (user, "/sources", "/suppressions", "/search?q=user:x", "/account", "/tokens", "/people",
                 "/webhooks", "/webhooks/chat?standing=all"):
        page.goto(base + name, wait_until="load")
        held(page, name.split("?")[0].strip("/").replace("/", "-")[:20].split("%")[0])

    # Benign, with scope: first what it would have silenced.
    page.goto(case, wait_until="load")
    page.keyboard.press("b")
    page.fill("#act-benign textarea", "on a business trip")
    page.check("#act-benign input[value=given]")
    page.fill("#act-benign input[name=user]", page.inner_text("main a[href^='/users/']"))
    page.click("#act-benign button[name=preview]")
    until(page, "document.body.textContent.includes('It would have silenced')", "a preview")
    if page.input_value("#act-benign textarea") != "on a business trip":
        faults.append("what was written is lost with the preview")
    held(page, "preview")

    # Made so, and its scope changed by keyboard: first what that would do.
    page.click("#act-benign button:not([name])")
    page.wait_for_url("**/suppressions/*")
    held(page, "suppression")
    page.focus("summary:has-text('Change the scope')")
    page.keyboard.press("Enter")
    scope = "form[action$='/scope'] "
    page.wait_for_selector(scope + "input[name=detection]")
    page.focus(scope + "input[name=detection]")
    page.keyboard.type("no.such")
    page.focus(scope + "textarea")
    page.keyboard.type("that alone")
    page.focus(scope + "button[name=preview]")
    page.keyboard.press("Enter")
    until(page, "document.body.textContent.includes('It is narrower than now')", "a preview of the scope")
    if page.input_value(scope + "textarea") != "that alone":
        faults.append("what was written is lost with the preview of a scope")
    held(page, "scope")

    # Fifty cases, without the mouse.
    page.goto(f"{base}/queue?queue=investigate", wait_until="load")
    held(page, "hostile")
    waiting = "Number(document.querySelector('h1 .dim').textContent)"
    left = page.evaluate(waiting)
    if left < 50:
        faults.append(f"only {left} wait")
    while left > 0:
        page.keyboard.press("j")
        page.keyboard.press("k")
        until(page, "!document.getElementById('card').hasAttribute('aria-busy')", "an answer")
        page.keyboard.press("b")
        until(page, "document.activeElement.name === 'reason'", "the reason")
        page.keyboard.type("known and allowed")
        page.keyboard.press("Enter")
        until(page, f"document.querySelector('h1 .dim') && {waiting} === {left - 1}", f"{left - 1} left")
        left -= 1
        # What is closed is gone from both sides.
        number = "document.getElementById('open')?.textContent.split(' ')[1]"
        if left and not page.evaluate(f"document.querySelector(`tr[data-case='${{{number}}}']`) !== null"):
            faults.append(f"with {left} left, the answer is of no row")
    if page.evaluate("window.bad"):
        faults.append("a name was obeyed")

    # For approval on a phone.
    phone = browser.new_context(viewport={"width": 390, "height": 844}, storage_state=context.storage_state())
    page = phone.new_page()
    page.set_default_timeout(120_000)
    watch(page)
    for name, to in (("phone-queue", "/queue"), ("phone-case", case.replace(base, ""))):
        page.goto(base + to, wait_until="load")
        held(page, name)
    browser.close()

end()
