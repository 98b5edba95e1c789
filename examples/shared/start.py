#!/usr/bin/env python3
"""The sample company on what companies share: PostgreSQL for cases and people, an identity provider for signing in.

Starts both from Debian's packages postgresql, glewlwyd, sqlite3 and openssl, on loopback and in one folder, then `portreeve
serve` before them, until it is told to end. A sample: its passwords are printed, and nothing of it is meant to stay.

    python3 examples/shared/start.py target/release/portreeve FOLDER [PORT]
"""

import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "four words are enough"
CLIENT = "of-this-sample-alone"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def need(path, package):
    if not path or not os.path.exists(path):
        sys.exit(f"needs the Debian package {package}")
    return path


class PostgreSQL:
    """A cluster of its own, over a socket in the folder and a port on loopback."""

    def __init__(self, folder):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.bin = need(found[-1] if found else "", "postgresql")
        self.data = folder / "postgresql"
        self.port = free_port()
        # PostgreSQL does not run as root; Debian's package brings an account for it.
        self.account = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        secret = folder / "postgresql.password"
        secret.write_text("of-this-sample-alone\n")
        self.data.mkdir()
        if self.account:
            shutil.chown(self.data, "postgres")
            shutil.chown(secret, "postgres")
        self.run("initdb", "-D", self.data, "-U", "portreeve", "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C")
        options = f"-h 127.0.0.1 -p {self.port} -k {self.data}"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "-o", options, "start")
        if self.account:
            shutil.chown(secret, "root")
        secret.chmod(0o600)
        self.secret = secret

    def run(self, program, *args):
        command = [*self.account, f"{self.bin}/{program}", *map(str, args)]
        # Not where the caller is: the account may not be allowed there.
        done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{program}: {done.stdout}")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "stop")


class Provider:
    """glewlwyd, an OpenID Connect provider, with the account anna in the group soc-t2."""

    def __init__(self, folder, callback):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.cookie = ""
        database = folder / "glewlwyd.db"
        with open(need("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3", "glewlwyd"), "rb") as schema:
            subprocess.run([need(shutil.which("sqlite3"), "sqlite3"), database], stdin=schema, check=True)
        # Its page refers to files of other packages, and it gives out none from outside its own folder.
        shutil.copytree("/usr/share/glewlwyd/webapp", folder / "webapp", ignore=shutil.ignore_patterns("config.json"))
        settings = pathlib.Path("/usr/share/glewlwyd/templates/config.json").read_text()
        (folder / "webapp/config.json").write_text(settings.replace("http://localhost:4593", self.base))
        modules = "/usr/lib/glewlwyd"
        lines = [
            f"port={self.port}", 'bind_address="127.0.0.1"', f'external_url="{self.base}"', 'login_url="login.html"',
            'api_prefix="api"', 'cookie_domain="127.0.0.1"', "cookie_secure=0", 'log_mode="file"', 'log_level="INFO"',
            f'log_file="{folder / "glewlwyd.log"}"', f'user_module_path="{modules}/user"',
            f'user_middleware_module_path="{modules}/user_middleware"', f'client_module_path="{modules}/client"',
            f'user_auth_scheme_module_path="{modules}/scheme"', f'plugin_module_path="{modules}/plugin"',
            'admin_scope="g_admin"', 'profile_scope="g_profile"', f'static_files_path="{folder / "webapp"}/"',
            'static_files_mime_types = ({ extension = ".html"; mime_type = "text/html"; compress = 0; },'
            ' { extension = ".css"; mime_type = "text/css"; compress = 0; },'
            ' { extension = ".js"; mime_type = "application/javascript"; compress = 0; },'
            ' { extension = ".json"; mime_type = "application/json"; compress = 0; },'
            ' { extension = ".png"; mime_type = "image/png"; compress = 0; },'
            ' { extension = "*"; mime_type = "application/octet-stream"; compress = 0; })',
            f'database={{ type="sqlite3"; path="{database}"; }}',
        ]
        (folder / "glewlwyd.conf").write_text("\n".join(lines) + "\n")
        program = need(shutil.which("glewlwyd"), "glewlwyd")
        silent = subprocess.DEVNULL
        self.child = subprocess.Popen([program, f"--config-file={folder / 'glewlwyd.conf'}"], stdin=silent, stdout=silent, stderr=silent)
        deadline = time.monotonic() + 60
        while not self.ask("POST", "/auth/", {"username": "admin", "password": "password"}):
            if self.child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"glewlwyd does not start; see {folder / 'glewlwyd.log'}")
            time.sleep(0.1)
        self.set_up(folder, callback)

    def ask(self, method, path, body):
        request = urllib.request.Request(f"{self.base}/api{path}", json.dumps(body).encode(), method=method)
        request.add_header("content-type", "application/json")
        request.add_header("cookie", self.cookie)
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(request, timeout=30) as answer:
                for cookie in answer.headers.get_all("set-cookie") or []:
                    if cookie.startswith("GLEWLWYD2_SESSION_ID="):
                        self.cookie = cookie.split(";")[0]
                return True
        except urllib.error.HTTPError as error:
            sys.exit(f"glewlwyd: {method} {path}: {error.code} {error.read().decode(errors='replace')}")
        except OSError:
            return False

    def set_up(self, folder, callback):
        key = folder / "provider.key"
        openssl = need(shutil.which("openssl"), "openssl")
        subprocess.run([openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run([openssl, "pkey", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
        claim = {"name": "preferred_username", "user-property": "username", "type": "string", "mandatory": True}
        parameters = {
            "iss": self.issuer(), "subject-type": "public", "jwt-type": "ecdsa", "jwt-key-size": "256",
            "key": key.read_text(), "cert": public, "jwks-show": True, "access-token-duration": 3600,
            "refresh-token-duration": 3600, "code-duration": 600, "auth-type-code-enabled": True, "pkce-allowed": True,
            "pkce-method-plain-allowed": False, "pkce-required": True, "oauth-as-iss-id": True, "allowed-scope": ["openid"],
            "session-management-allowed": True, "session-cookie-name": "op-session", "session-cookie-expiration": 3600,
            "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "mandatory", "claims": [claim],
        }
        self.ask("POST", "/mod/plugin/", {"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": parameters,
                                          "order_rank": 0, "readonly": False, "enabled": True})
        self.ask("POST", "/scope/", {"name": "soc-t2", "display_name": "SOC, T2", "description": "Works on cases",
                                     "password_required": True, "scheme": {}})
        self.ask("POST", "/client/", {"client_id": "portreeve", "name": "Portreeve", "confidential": True, "password": CLIENT,
                                      "redirect_uri": [callback], "authorization_type": ["code"], "scope": ["openid", "soc-t2"],
                                      "enabled": True, "token_endpoint_auth_method": ["client_secret_basic"]})
        self.ask("POST", "/user/", {"username": "anna", "password": PASSWORD, "name": "Anna Berg", "email": "anna@example.org",
                                    "scope": ["g_profile", "openid", "soc-t2"], "enabled": True})

    def issuer(self):
        return f"{self.base}/api/oidc"

    def stop(self):
        self.child.terminate()
        self.child.wait()


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    port = int(sys.argv[3]) if len(sys.argv) == 4 else 8433
    if folder.exists():
        sys.exit(f"{folder} is there already; name a folder that is made anew")
    folder.mkdir(parents=True)
    folder.chmod(0o711)
    page = f"http://127.0.0.1:{port}"
    running = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        postgresql = PostgreSQL(folder)
        running.append(postgresql)
        provider = Provider(folder, f"{page}/sign-in/oidc/callback")
        running.append(provider)
        (folder / "client.secret").write_text(CLIENT + "\n")
        (folder / "client.secret").chmod(0o600)
        (folder / "portreeve.toml").write_text(f"""
[web]
listen = "127.0.0.1:{port}"
public_url = "{page}"

[context]
dir = "{HERE.parent / "acme/context"}"

[store]
url = "postgres://portreeve@127.0.0.1:{postgresql.port}/postgres"
password_file = "{postgresql.secret}"

[access]
# Of a sample on one's own machine.
second_factor = false

[oidc]
name = "the sample's provider"
issuer = "{provider.issuer()}"
client_id = "portreeve"
client_secret = {{ file = "{folder / "client.secret"}" }}
scopes = ["soc-t2"]
groups_claim = "scope"

[oidc.roles]
soc-t2 = ["t2"]

[[doors.follow]]
paths = ["{HERE.parent / "acme/logs"}/**/*"]
whole = ["{HERE.parent / "acme/logs"}/cloudtrail/**/*.json.gz"]
""")
        command = [program, "serve", "--data", folder / "data", "--config", folder / "portreeve.toml"]
        with open(folder / "portreeve.log", "w") as log:
            service = subprocess.Popen([str(c) for c in command], stdout=log, stderr=subprocess.STDOUT)
        service.stop = lambda: (service.terminate(), service.wait())
        running.append(service)
        deadline = time.monotonic() + 60
        while "listening on" not in (folder / "portreeve.log").read_text():
            if service.poll() is not None or time.monotonic() > deadline:
                sys.exit((folder / "portreeve.log").read_text())
            time.sleep(0.1)
        print(f"open {page}/sign-in and sign in with the sample's provider, as anna, password: {PASSWORD}", flush=True)
        service.wait()
    except KeyboardInterrupt:
        pass
    finally:
        for part in reversed(running):
            part.stop()


main()
