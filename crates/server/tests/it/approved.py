"""One plans a containment at a desk, another approves it on a phone. Begins with held.py."""

base, password, number, address = sys.argv[1:5]
case = f"{base}/cases/{number}"


def sign_in(page, name):
    page.goto(case, wait_until="load")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/second-factor**")
    page.fill("input[name=code]", ask(f"code {name}"))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.split("#")[0] == case)


def act(page, form, field, reason):
    """Opens a form as a hand does, writes why, and sends it."""
    form = page.locator(f"form[action$='/{form}']")
    details = form.locator("xpath=ancestor::details[1]")
    if details.get_attribute("open") is None:
        details.locator("summary").first.click()
    form.locator(f"[name={field}]").fill(reason)
    with page.expect_navigation():
        form.locator("button").click()
    page.wait_for_selector(".notice")


def stands(page, standing):
    """A loaded machine may still be at it when the answer comes."""
    tag = page.locator("article[id^=plan-] h3 .tag")
    for _ in range(240):
        if tag.count() == 1 and tag.text_content() == standing:
            return
        page.wait_for_timeout(500)
        page.reload(wait_until="load")
    raise SystemExit(f"never {standing}: {page.inner_text('body')}")


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--no-proxy-server"])
    desk = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
    for page in (desk, phone):
        page.set_default_timeout(120_000)
        watch(page)

    # L1 plans what the case proposes, and may no more than that.
    sign_in(desk, "lena")
    act(desk, "plan", "reason", "she was never there")
    stands(desk, "proposed")
    if address not in desk.inner_text("article[id^=plan-]"):
        faults.append("the plan does not name the address")
    if desk.locator("form[action$='/approve']").count():
        faults.append("who proposes is offered to approve")
    ask("planned")
    held(desk, "containment-planned")

    # T2 approves on a phone, and carries it out.
    sign_in(phone, "tess")
    stands(phone, "proposed")
    if phone.locator("form[action$='/apply']").count():
        faults.append("what is not approved is offered to be carried out")
    held(phone, "containment-phone-planned")
    act(phone, "approve", "reason", "seen the case")
    stands(phone, "approved")
    ask("approved")
    held(phone, "containment-phone-approved")
    act(phone, "apply", "reason", "contain")
    stands(phone, "in force")
    step = phone.locator("article[id^=plan-] ol > li")
    proof = step.inner_text()
    if step.locator(".tag").first.text_content() != "verified":
        faults.append(f"not proven: {proof}")
    ask("carried out")
    held(phone, "containment-phone-in-force")
    desk.reload(wait_until="load")
    stands(desk, "in force")
    held(desk, "containment-in-force")

    # And back.
    act(phone, "roll-back", "reason", "it was her after all")
    stands(phone, "taken back")
    ask("taken back")
    held(phone, "containment-phone-taken-back")
    desk.reload(wait_until="load")
    held(desk, "containment-taken-back")
    browser.close()

end()
