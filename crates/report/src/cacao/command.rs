//! Requests as CACAO commands. What a connector sent exactly becomes the command type that fits; what its preview only
//! describes stays `manual`.
//!
//! Names in a request were written by an intruder. They are quoted by the encoder that sent them; what CACAO itself
//! would read (`__name__:value`) is let through in no command, and bodies go as base64, in which nothing is read. A
//! masked secret becomes an external variable, so that nobody sends three stars.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Connectors whose previews of HTTP requests are what is sent, but for the credential.
const HTTP: [&str; 17] = [
    "aws",
    "aws_nacl",
    "checkpoint",
    "cisco_ise_anc",
    "crowdsec",
    "crowdstrike",
    "defender",
    "entra",
    "f5_apm",
    "fortigate",
    "google_workspace",
    "ivanti",
    "kubernetes",
    "netscaler",
    "okta",
    "openc2",
    "sentinelone",
];

/// Programs whose whole input is their command line.
const PROGRAMS: [&str; 6] = ["chage", "conntrack", "loginctl", "pkill", "usermod", "wg"];

/// The commands of one step, all of them for one target.
#[derive(Debug, PartialEq)]
pub(super) struct Exact {
    pub(super) commands: Vec<Value>,
    /// `type` and `address` of the target; `None`: nothing more is known of it than its name.
    pub(super) target: Option<Value>,
    /// Names of variables that whoever runs it must fill.
    pub(super) secrets: Vec<String>,
}

/// `None`: at least one request is a description and no command. Half of a step is no step.
pub(super) fn exact(connector: &str, step: usize, requests: &[String]) -> Option<Exact> {
    let mut all = Exact { commands: Vec::new(), target: None, secrets: Vec::new() };
    if requests.is_empty() {
        return None;
    }
    for (n, request) in requests.iter().enumerate() {
        if request.contains("__") && request.contains(":value") {
            return None;
        }
        let (command, target) = if HTTP.contains(&connector) {
            http(connector, request, step, &mut all.secrets)?
        } else {
            shell(connector, request)?
        };
        if n > 0 && target != all.target {
            return None;
        }
        all.target = target;
        all.commands.push(command);
    }
    Some(all)
}

/// `POST https://host:8443/path {"a": 1}`, with or without a body; `(X-Request-ID: id)` behind it is a header, and
/// another remark in parentheses is none of the request.
fn http(
    connector: &str,
    request: &str,
    step: usize,
    secrets: &mut Vec<String>,
) -> Option<(Value, Option<Value>)> {
    let (method, rest) = request.split_once(' ')?;
    if !matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE") {
        return None;
    }
    let (url, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (scheme, after) = url.split_once("://").filter(|(s, _)| matches!(*s, "http" | "https"))?;
    let (authority, path) = after.split_at_checked(after.find('/')?)?;
    // `(its id)` and the like: not known before it was sent.
    if path.contains('(') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let mut headers = Map::new();
    let mut header = |name: &str, value: &str| drop(headers.insert(name.to_owned(), json!([value])));
    let mut command = Map::new();
    let (body, remark) = body(rest)?;
    match body {
        Sent::Nothing => {}
        Sent::Json(value) => {
            if has_placeholder(&value) {
                return None;
            }
            let kind = if connector == "openc2" {
                "application/openc2+json;version=1.0"
            } else {
                "application/json"
            };
            header("Content-Type", kind);
            content(value, step, secrets, &mut command);
        }
        Sent::Form(text) => {
            header("Content-Type", "application/x-www-form-urlencoded");
            command.insert("content_b64".into(), json!(STANDARD.encode(text)));
        }
    }
    if let Some(id) = remark.strip_prefix("X-Request-ID: ") {
        header("X-Request-ID", id);
    }
    let kind = if connector == "openc2" { "openc2-http" } else { "http-api" };
    // The OpenC2 type takes a body in base64 alone, and only POST.
    if kind == "openc2-http" && !(method == "POST" && command.contains_key("content_b64")) {
        return None;
    }
    command.insert("type".into(), json!(kind));
    command.insert("command".into(), json!(format!("{method} {path} HTTP/1.1")));
    if !headers.is_empty() {
        command.insert("headers".into(), Value::Object(headers));
    }
    let (host, port) = host_port(authority)?;
    let port = port.unwrap_or(if scheme == "https" { "443" } else { "80" });
    let target = json!({"type": "http-api", "port": port, "address": address(host)});
    Some((Value::Object(command), Some(target)))
}

enum Sent {
    Nothing,
    Json(Value),
    Form(String),
}

/// The body, and a remark behind it without its parentheses.
fn body(rest: &str) -> Option<(Sent, &str)> {
    if rest.is_empty() {
        return Some((Sent::Nothing, ""));
    }
    if let Some(remark) = in_parentheses(rest) {
        return Some((Sent::Nothing, remark));
    }
    if rest.starts_with('{') || rest.starts_with('[') {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let behind = rest.get(values.byte_offset()..)?.trim_start();
        let remark = if behind.is_empty() { "" } else { in_parentheses(behind)? };
        return Some((Sent::Json(value), remark));
    }
    // Percent-encoded: no blank, no bracket.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%+&=*".contains(&b);
    (rest.contains('=') && rest.bytes().all(plain)).then(|| (Sent::Form(rest.to_owned()), ""))
}

fn in_parentheses(text: &str) -> Option<&str> {
    text.strip_prefix('(').and_then(|t| t.strip_suffix(')'))
}

/// `(all that GetIPSet gives)`: what the preview cannot know stands in parentheses in place of a value.
fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::String(s) => s.starts_with('(') && s.contains(' '),
        Value::Array(all) => all.iter().any(has_placeholder),
        Value::Object(all) => all.values().any(has_placeholder),
        _ => false,
    }
}

/// A body with a secret is text, because a variable must be filled in; every other is base64.
fn content(mut value: Value, step: usize, secrets: &mut Vec<String>, command: &mut Map<String, Value>) {
    let before = secrets.len();
    fill(&mut value, step, secrets);
    let text = value.to_string();
    if secrets.len() > before {
        command.insert("content".into(), json!(text));
    } else {
        command.insert("content_b64".into(), json!(STANDARD.encode(text)));
    }
}

fn fill(value: &mut Value, step: usize, secrets: &mut Vec<String>) {
    match value {
        Value::String(s) if s == "***" => {
            let name = format!("__secret_{step}_{}__", secrets.len() + 1);
            *s = format!("{name}:value");
            secrets.push(name);
        }
        Value::Array(all) => all.iter_mut().for_each(|v| fill(v, step, secrets)),
        Value::Object(all) => all.values_mut().for_each(|v| fill(v, step, secrets)),
        _ => {}
    }
}

/// `conntrack -D … (on this machine)`, `(on namespace x)` or `(on user@host:22)`; the command line of an ASA stands
/// behind `user@host:22: `.
fn shell(connector: &str, request: &str) -> Option<(Value, Option<Value>)> {
    if connector == "cisco_asa" {
        let (place, line) = request.split_once(": ")?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" -_./:".contains(&b);
        return if line.bytes().all(plain) { ssh(place, line) } else { None };
    }
    let (line, place) = request.strip_suffix(')')?.rsplit_once(" (on ")?;
    let line = line.trim_end();
    let program = line.split(' ').next()?;
    if !PROGRAMS.contains(&program) || !is_quoted(line) {
        return None;
    }
    if let Some(netns) = place.strip_prefix("namespace ") {
        return is_name(netns)
            .then(|| (text("bash", &format!("nsenter --net=/run/netns/{netns} -- {line}")), None));
    }
    if place == "this machine" {
        return Some((text("bash", line), None));
    }
    match place.strip_suffix(", by sudo") {
        Some(place) => ssh(place, &format!("sudo -n -- {line}")),
        None => ssh(place, line),
    }
}

fn ssh(place: &str, line: &str) -> Option<(Value, Option<Value>)> {
    let (user, authority) = place.rsplit_once('@').filter(|(user, _)| is_name(user))?;
    let (host, port) = host_port(authority)?;
    let target = json!({
        "type": "ssh", "address": address(host), "port": port.unwrap_or("22"), "description": format!("As {user}."),
    });
    Some((text("ssh", line), Some(target)))
}

/// What is quoted, or longer than a word list, goes as base64.
fn text(kind: &str, line: &str) -> Value {
    let simple = line.bytes().all(|b| b.is_ascii_alphanumeric() || b" _-./:=@%+,".contains(&b));
    if simple {
        json!({"type": kind, "command": line})
    } else {
        json!({"type": kind, "command_b64": STANDARD.encode(line)})
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Is this a line of words as the shell's encoder writes them, in which nothing is left for a shell to read?
fn is_quoted(line: &str) -> bool {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let used = match c {
            '\'' => match rest.get(1..).and_then(|r| r.find('\'')) {
                Some(end) => end + 2,
                None => return false,
            },
            '\\' if rest.starts_with("\\'") => 2,
            ' ' => 1,
            c if c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c) => 1,
            _ => return false,
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    true
}

/// A host with its port; of IPv6 without the brackets.
fn host_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let named = is_name(host) || host.parse::<IpAddr>().is_ok();
    let numbered = port.is_none_or(|p| p.parse::<u16>().is_ok());
    (named && numbered).then_some((host, port))
}

fn address(host: &str) -> Value {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => json!({"ipv4": [host]}),
        Ok(IpAddr::V6(_)) => json!({"ipv6": [host]}),
        Err(_) => json!({"dname": [host]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(connector: &str, request: &str) -> Option<Exact> {
        exact(connector, 1, &[request.to_owned()])
    }

    fn decoded(command: &Value, key: &str) -> String {
        let bytes = STANDARD.decode(command[key].as_str().expect("text")).expect("base64");
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn requests_over_http() {
        let found =
            one("okta", "POST https://acme.okta.com/api/v1/users/00u1/lifecycle/suspend").expect("exact");
        assert_eq!(
            found.commands,
            [json!({"type": "http-api", "command": "POST /api/v1/users/00u1/lifecycle/suspend HTTP/1.1"})]
        );
        assert_eq!(
            found.target,
            Some(json!({"type": "http-api", "port": "443", "address": {"dname": ["acme.okta.com"]}}))
        );
        let body = r#"PATCH https://graph.example/v1.0/users/1 {"accountEnabled":false,"note":"a __x b"}"#;
        let found = one("entra", body).expect("exact");
        assert_eq!(found.commands[0]["headers"]["Content-Type"], json!(["application/json"]));
        assert_eq!(
            decoded(&found.commands[0], "content_b64"),
            r#"{"accountEnabled":false,"note":"a __x b"}"#
        );
        let form =
            one("aws_nacl", "POST https://ec2.eu-1.amazonaws.com/ Action=CreateNetworkAclEntry&A=b%2F1");
        assert_eq!(
            decoded(&form.expect("exact").commands[0], "content_b64"),
            "Action=CreateNetworkAclEntry&A=b%2F1"
        );
        let inner = one("kubernetes", "DELETE https://[2001:db8::1]:6443/api/v1/x").expect("exact").target;
        assert_eq!(
            inner,
            Some(json!({"type": "http-api", "port": "6443", "address": {"ipv6": ["2001:db8::1"]}}))
        );
        let openc2 =
            r#"POST http://127.0.0.1:8/.well-known/openc2 {"headers":{}} (X-Request-ID: portreeve-0a)"#;
        let found = one("openc2", openc2).expect("exact");
        assert_eq!(found.commands[0]["type"], "openc2-http");
        assert_eq!(found.commands[0]["headers"]["X-Request-ID"], json!(["portreeve-0a"]));
        assert_eq!(decoded(&found.commands[0], "content_b64"), r#"{"headers":{}}"#);
    }

    #[test]
    fn nobody_sends_three_stars() {
        let request = r#"PATCH https://g.example/users/1 {"passwordProfile":{"password":"***"}}"#;
        let found = exact("entra", 4, &[request.to_owned(), request.to_owned()]).expect("exact");
        assert_eq!(found.secrets, ["__secret_4_1__", "__secret_4_2__"]);
        assert_eq!(
            found.commands[1]["content"],
            json!(r#"{"passwordProfile":{"password":"__secret_4_2__:value"}}"#)
        );
    }

    #[test]
    fn command_lines_here_in_a_namespace_and_far_away() {
        let here = one("conntrack", "conntrack -D --orig-src 203.0.113.9 (on this machine)").expect("exact");
        assert_eq!(
            here.commands,
            [json!({"type": "bash", "command": "conntrack -D --orig-src 203.0.113.9"})]
        );
        assert_eq!(here.target, None);
        let netns = one("conntrack", "conntrack -D -d 2001:db8::9 (on namespace edge-1)").expect("exact");
        assert_eq!(
            netns.commands[0]["command"],
            "nsenter --net=/run/netns/edge-1 -- conntrack -D -d 2001:db8::9"
        );
        let far = one("unix", "usermod -e 1 'a b'\\''c'  (on root@gw.example:2222, by sudo)").expect("exact");
        assert_eq!(decoded(&far.commands[0], "command_b64"), "sudo -n -- usermod -e 1 'a b'\\''c'");
        let target = far.target.expect("a target");
        assert_eq!((&target["type"], &target["port"]), (&json!("ssh"), &json!("2222")));
        assert_eq!(target["address"], json!({"dname": ["gw.example"]}));
        let asa = one("cisco_asa", "admin@192.0.2.1:22: shun 203.0.113.9").expect("exact");
        assert_eq!(asa.commands, [json!({"type": "ssh", "command": "shun 203.0.113.9"})]);
    }

    #[test]
    fn descriptions_and_anything_that_would_be_read_stay_manual() {
        for (connector, request) in [
            ("nftables", "nft -f - (on this machine): table inet portreeve with its sets and rules"),
            ("unix", "where there is systemd: loginctl terminate-user 1000  (on this machine)"),
            ("conntrack", "conntrack -D -s ADDRESS, and --reply-dst, for each host of 192.0.2.0/30"),
            (
                "ocserv",
                "/etc/ocserv/ocpasswd (on this machine): `!` before the hash in the line of account x",
            ),
            ("entra", "DELETE https://g.example/users/1/authentication/phone/(its id)"),
            ("aws_waf", r#"POST https://w.example/ W.UpdateIPSet {"LockToken":"(of the same reading)"}"#),
            ("aws", r#"POST https://w.example/ {"LockToken":"(of the same reading)"}"#),
            ("duo", r#"POST https://api.example/admin/v1/users/1 {"status":"disabled"}"#),
            ("manual", "POST https://x.example/ by hand"),
            ("okta", "POST https://x.example/a b c"),
            ("okta", r#"POST https://x.example/a {"a":1} and then more"#),
            ("okta", "POST ftp://x.example/a"),
            ("okta", "TRACE https://x.example/a"),
            ("okta", "POST https://x.example:99999/a"),
            ("okta", "POST https://x.example$(id)/a"),
            // What an intruder is called is no variable, and ends no word.
            ("entra", r#"PATCH https://g.example/u {"n":"__target_1__:value"}"#),
            ("unix", "usermod -e 1 x;id  (on this machine)"),
            ("unix", "usermod -e 1 'x  (on this machine)"),
            ("unix", "usermod -e 1 $(id)  (on this machine)"),
            ("unix", "usermod -e 1 x (on a;b@gw:22)"),
            ("conntrack", "conntrack -D -s x (on namespace a;id)"),
            ("cisco_asa", "admin@192.0.2.1:22: shun 1\nreload"),
            ("radius_dae", "Disconnect-Request to 192.0.2.1:3799: User-Name x"),
        ] {
            assert_eq!(one(connector, request), None, "{connector}: {request}");
        }
        assert_eq!(exact("okta", 1, &[]), None);
        let two = ["POST https://a.example/x".to_owned(), "POST https://b.example/x".to_owned()];
        assert_eq!(exact("okta", 1, &two), None, "two targets");
        let half = ["POST https://a.example/x".to_owned(), "then look".to_owned()];
        assert_eq!(exact("okta", 1, &half), None, "half of a step");
    }
}
