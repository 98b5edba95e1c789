"""Makes the first account of a service that begins, and waits until its queue is that of a hunt: queue.py SAID CASES"""

import http.cookiejar
import json
import sys
import time
import urllib.request

said, cases = sys.argv[1:3]
deadline = time.monotonic() + 300


def until(what, ask):
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"not within five minutes: {what}")
        time.sleep(0.5)


def line(begin):
    with open(said) as text:
        return next((l[len(begin):].strip() for l in text if l.startswith(begin) and l.endswith("\n")), None)


page = "http://" + until("its address", lambda: line("listening on "))
token = until("the link of the first account", lambda: line("nobody has an account yet")).split("token=")[1]
jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
browser = urllib.request.build_opener(jar, urllib.request.ProxyHandler({}))


def api(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Origin": page, "Content-Type": "application/json"}
    with browser.open(urllib.request.Request(f"{page}/api/v1{path}", data, headers), timeout=60) as answer:
        return json.load(answer)


api("/first-run", {"token": token, "name": "ci", "password": "seven herons over the lake"})
with open(cases) as text:
    wanted = sorted(c["principal"]["name"] for c in json.load(text)["cases"] if c["decision"] == "escalate")
queue = lambda: sorted(c["principal"] for c in api("/cases?queue=escalate")["cases"])
until(f"the queue {wanted}", lambda: queue() == wanted)
print(f"{len(wanted)} cases wait to be escalated, as after the hunt")
