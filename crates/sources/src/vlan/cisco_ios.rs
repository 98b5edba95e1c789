//! Cisco IOS, IOS-XE, IOS-XR and NX-OS: 802.1X, MAB, VLANs, attacks on the switched network, administration.
//!
//! Read from: Cisco IOS System Message Guide; IOS-XE System Message Guide (SESSION_MGR, DMI, WEBSERVER, SISF); NX-OS System
//! Messages Reference; IOS-XR System Error Messages (SECURITY, MGBL). Traps: VLANASSIGN names a port and a session but no
//! person; the session id joins START, VLANASSIGN and SUCCESS; the clock may be unsynchronised (`*`), its zone an
//! abbreviation; a failure at the method is told once more at the port; NX-OS tells a failed SSH login twice, once
//! without a name; an account created from the web interface is how CVE-2023-20198 shows.

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, number, word};
use crate::emit::Emit;
use crate::flows::{Flow, port};
use crate::ios::{self, Message};
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "cisco_ios",
    title: "Cisco IOS / IOS-XE / IOS-XR / NX-OS",
    row: Row::Vlan,
    gives: &[
        Act::Nac,
        Act::Auth,
        Act::SessionStart,
        Act::SessionEnd,
        Act::Admin,
        Act::Config,
        Act::Account,
        Act::Flow,
        Act::Exec,
        Act::Alert,
    ],
    lacks: &[Field::Mfa, Field::Bytes],
    traps: &["vlan_without_person", "told_twice", "web_interface"],
    manual: "Cisco IOS, IOS-XE, IOS-XR and NX-OS System Message Guides (AUTHMGR, DOT1X, MAB, SESSION_MGR, SYS, SEC_LOGIN)",
    enable: "logging trap notifications; authentication logging verbose; login on-success log; login on-failure log; archive log config with notify syslog; service timestamps log datetime msec year show-timezone",
    general: false,
    marks: &["%"],
    reader: Reader::Code {
        claim: |r| ios::message(r).is_some_and(|m| !super::cisco_wlc::is_wireless(&m)),
        parse,
        join: None,
    },
};

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(m) = ios::message(r) else { return Parsed::NotMine };
    if ios::is_access(&m) {
        return ios::access(r, &m, Service::Wired, out);
    }
    match m.facility {
        b"LINK" | b"LINEPROTO" | b"ETHPORT" | b"ETH_PORT_CHANNEL" | b"LINEPROTO-SP" => {
            Parsed::Irrelevant(Kind::Housekeeping)
        }
        b"SEC_LOGIN"
        | b"DMI"
        | b"SSH"
        | b"WEBSERVER"
        | b"SECURITY-SSHD"
        | b"SECURITY-LOGIN"
        | b"SECURITY-SSHD_SYSLOG_PRX"
        | b"AUTHPRIV"
        | b"DAEMON"
        | b"HTTP"
        | b"HTTPS" => login(r, &m, out),
        b"SYS" | b"PARSER" | b"VSHD" | b"AAAA" | b"AAA" | b"MGBL-SYS" | b"MGBL-CONFIG" | b"SECURITYD"
        | b"HA_EM" => administration(r, &m, out),
        b"CRYPTO" | b"SSLVPN" => vpn(r, &m, out),
        b"FW" => zone(r, &m, m.name, m.text, out),
        // The forwarding plane of IOS-XE speaks through another message: `… %FW-6-SESS_AUDIT_TRAIL_START: …`.
        b"IOSXE" => match after(m.text, b"%FW-6-", b"").and_then(|t| Some((t, memchr::memchr(b':', t)?))) {
            Some((text, colon)) => zone(r, &m, &text[..colon], &text[colon + 1..], out),
            None => Parsed::Irrelevant(Kind::OtherMessage),
        },
        b"SEC" | b"FMANFP" | b"ACLLOG" | b"IPV6_ACL" | b"IPACCESS" | b"ACL-IPV4_ACL" => filter(r, &m, out),
        _ => attack(r, &m, out),
    }
}

/// A login to the device, with what Cisco's families know of it.
fn admin(
    r: &Record<'_>,
    m: &Message<'_>,
    out: &mut Emit<'_>,
    ok: bool,
    user: &[u8],
    from: &[u8],
    privileged: bool,
) -> Parsed {
    let reason = if ok {
        Reason::None
    } else if m.says(b"uthentication Failed") || m.says(b"BadPassword") || m.says(b"Authentication failure") {
        Reason::BadPassword
    } else {
        Reason::Other
    };
    out.event(Act::Admin, if ok { Outcome::Success } else { Outcome::Failure })
        .at(m.time(r))
        .service(Service::Management)
        .user(user)
        .source(from.strip_suffix(b".").unwrap_or(from))
        .observer(m.host(r))
        .reason(reason)
        .flag_if(privileged, Flags::PRIVILEGED)
        .done()
}

fn login(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    match (m.facility, m.name) {
        // `Login Success [user: anna] [Source: 10.0.0.5] [localport: 22]`
        (b"SEC_LOGIN", b"LOGIN_SUCCESS" | b"LOGIN_FAILED" | b"WEBLOGIN_SUCCESS") => {
            let ok = m.named(b"SUCCESS");
            admin(r, m, out, ok, m.after(b"[user: ", b"]"), m.after(b"[Source: ", b"]"), false)
        }
        // So many failures that the device stopped listening; the last of them is named.
        (b"SEC_LOGIN", b"QUIET_MODE_ON") => out
            .event(Act::Alert, Outcome::Unknown)
            .at(m.time(r))
            .service(Service::Management)
            .user(m.after(b"[user: ", b"]"))
            .source(m.after(b"[Source: ", b"]"))
            .observer(m.host(r))
            .host(m.host(r))
            .severity(3)
            .detail(b"quiet mode after failed logins")
            .done(),
        // `User 'anna' authenticated successfully from 10.0.0.5:38066 for netconf over ssh`
        (b"DMI", b"AUTH_PASSED" | b"AUTHENTICATION_FAILED" | b"AUTHORIZATION_FAILED") => {
            let ok = m.named(b"PASSED");
            admin(r, m, out, ok, m.after(b"User '", b"'"), m.after(b" from ", b" "), false)
        }
        // `User 'anna' authentication for SSH2 Session from 10.0.0.5 (tty = 0) using … Succeeded`
        (b"SSH", b"SSH2_USERAUTH" | b"SSH_USERAUTH") => {
            let ok = !m.text.ends_with(b"Failed");
            admin(r, m, out, ok, m.after(b"User '", b"'"), m.after(b" from ", b" "), false)
        }
        (b"SSH", _) => Parsed::Irrelevant(Kind::Transport),
        // `Login Successful from host 10.0.0.5 by user 'anna' using crypto cipher '…'`
        (b"WEBSERVER", b"LOGIN_PASSED" | b"LOGIN_FAILED") => admin(
            r,
            m,
            out,
            m.named(b"PASSED"),
            m.after(b"user '", b"'"),
            m.after(b"from host ", b" "),
            false,
        ),
        // Packages put on the device through the web interface.
        (b"WEBSERVER", b"INSTALL_OPERATION_INFO") => {
            config(r, m, out, m.after(b"User: ", b","), b"", m.after(b"Install Operation: ", b""))
        }
        // IOS-XR hands on what its OpenSSH says: `sshd[397]: Accepted publickey for anna from 10.0.0.5 port 48906 ssh2`.
        (b"SECURITY-SSHD_SYSLOG_PRX", _) => handed_on(r, m, out),
        // `Successfully authenticated user 'anna' from '10.0.0.5' on 'vty0'`, `Failed authentication attempt by user 'x' from …`
        (b"SECURITY-SSHD" | b"SECURITY-LOGIN", _) if m.says(b"authenticat") && m.says(b"user '") => {
            let ok = m.text.starts_with(b"Successfully");
            admin(r, m, out, ok, m.after(b"user '", b"'"), m.after(b"from '", b"'"), false)
        }
        // `error: PAM: Authentication failure for illegal user x from 10.0.0.5 - dcos_sshd[6526]`; the name is the other
        // side's own, so the address behind the last ` from ` counts.
        (b"DAEMON" | b"AUTHPRIV", _) => handed_on(r, m, out),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// NX-OS and IOS-XR hand on what their own sshd, login and PAM say.
fn handed_on(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let from = memchr::memmem::rfind(m.text, b" from ").map(|at| (at, word(&m.text[at + 6..]).0));
    // Without a name: the same attempt is told with it by sshd.
    if m.text.starts_with(b"pam_aaa:Authentication failed") {
        if m.says(b"sshd") {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return admin(r, m, out, false, b"", m.after(b" from ", b" "), false);
    }
    let Some((at, address)) = from else {
        // `New user added with username anna - securityd`
        let created = m.after(b"added with username ", b" ");
        if !created.is_empty() {
            return account(r, m, out, Change::LocalUserCreated, b"", created, b"");
        }
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let before = &m.text[..at];
    let name = |marker: &[u8]| find(before, marker).map(|n| before[n + marker.len()..].trim_ascii());
    if let Some(user) = name(b"Authentication failure for illegal user ")
        .or_else(|| name(b"Authentication failure for "))
        .or_else(|| name(b"Failed password for "))
        .or_else(|| name(b"Failed publickey for "))
        .or_else(|| name(b"Failed authentication/pam for "))
        .or_else(|| name(b"Failed keyboard-interactive/pam for "))
    {
        return admin(r, m, out, false, user, address, false);
    }
    if let Some(user) = name(b"Accepted password for ")
        .or_else(|| name(b"Accepted publickey for "))
        .or_else(|| name(b"Accepted authentication/pam for "))
        .or_else(|| name(b"Accepted keyboard-interactive/pam for "))
    {
        return admin(r, m, out, true, user, address, false);
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

fn config(
    r: &Record<'_>,
    m: &Message<'_>,
    out: &mut Emit<'_>,
    user: &[u8],
    from: &[u8],
    what: &[u8],
) -> Parsed {
    let user = user.strip_suffix(b".").unwrap_or(user);
    // `Configured from console by vty2 (10.0.0.5)`: a line, where nobody had to give a name.
    let nobody = user == b"console" || (user.starts_with(b"vty") && user[3..].iter().all(u8::is_ascii_digit));
    out.event(Act::Config, Outcome::Success)
        .at(m.time(r))
        .service(Service::Management)
        .user(if nobody { b"" } else { user })
        .source(from)
        .detail(what)
        .target(after(what, b"username ", b" ").unwrap_or_default())
        .change(change(what))
        .observer(m.host(r))
        .flag(Flags::PRIVILEGED)
        .done()
}

/// What a command changes, as far as the playbook asks.
fn change(command: &[u8]) -> Change {
    let has = |part: &[u8]| find(command, part).is_some();
    let command_is = |part: &[u8]| command.trim_ascii_start().starts_with(part);
    if command_is(b"username ") || has(b":username ") {
        if has(b"privilege 15") || has(b"network-admin") {
            Change::AdminCreated
        } else {
            Change::LocalUserCreated
        }
    } else if command_is(b"no logging") || has(b"no archive") {
        Change::LoggingStopped
    } else if has(b"no dot1x")
        || has(b"force-authorized")
        || has(b"no authentication")
        || has(b"no switchport port-security")
        || has(b"no ip dhcp snooping")
        || has(b"no ip arp inspection")
        || has(b"no access-group")
        || has(b"no access-class")
        || has(b"no aaa ")
    {
        Change::PolicyChanged
    } else {
        Change::ConfigChanged
    }
}

fn account(
    r: &Record<'_>,
    m: &Message<'_>,
    out: &mut Emit<'_>,
    change: Change,
    who: &[u8],
    whom: &[u8],
    from: &[u8],
) -> Parsed {
    out.event(Act::Account, Outcome::Success)
        .at(m.time(r))
        .service(Service::Management)
        .user(who)
        .target(whom)
        .source(from)
        .change(change)
        .observer(m.host(r))
        .flag(Flags::LOCAL_ACCOUNT)
        .done()
}

fn administration(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    match (m.facility, m.name) {
        // `Authentication to privilege level 15 failed by anna on vty0 (10.0.0.5)`
        (b"SYS", b"PRIV_AUTH_FAIL" | b"PRIV_AUTH_PASS") => {
            admin(r, m, out, m.named(b"PASS"), m.after(b" by ", b" "), m.after(b" (", b")"), true)
        }
        // `Configured from console by anna on vty0 (10.0.0.5)`
        (b"SYS" | b"MGBL-SYS", b"CONFIG_I") => {
            config(r, m, out, m.after(b" by ", b" "), m.after(b"(", b")"), b"")
        }
        // `Configured programmatically by process SEP_webui_wsma_http from console as anna on vty0`
        (b"SYS", b"CONFIG_P") => {
            config(r, m, out, m.after(b" as ", b" "), b"", m.after(b"by process ", b" "))
        }
        // `Logging to host 10.0.0.9 port 514 stopped - CLI initiated`
        (b"SYS", b"LOGGINGHOST_STARTSTOP") if m.says(b"stopped - CLI") => out
            .event(Act::Config, Outcome::Success)
            .at(m.time(r))
            .service(Service::Management)
            .change(Change::LoggingStopped)
            .target(m.after(b"host ", b" "))
            .observer(m.host(r))
            .done(),
        // `User:anna  logged command:no dot1x system-auth-control`
        (b"PARSER", b"CFGLOG_LOGGEDCMD" | b"CFGLOG_LOGGEDCMD_R") => {
            let command = m.after(b"logged command:", b"");
            config(
                r,
                m,
                out,
                m.after(b"User:", b" "),
                b"",
                command.strip_prefix(b"!exec: ").unwrap_or(command),
            )
        }
        // `Configured from vty by anna on 10.0.0.5@pts/0`
        (b"VSHD", b"VSHD_SYSLOG_CONFIG_I") => {
            config(r, m, out, m.after(b" by ", b" "), m.after(b" on ", b"@"), b"")
        }
        // `Configuration committed by user 'anna'. Use 'show configuration commit changes 1000000001' to …`
        (b"MGBL-CONFIG", b"DB_COMMIT") => config(r, m, out, m.after(b"user '", b"'"), b"", b""),
        // `User:anna executed the command:show run`, `Username: anna Privilege level: 15 Command: show clock`
        (b"VSHD", b"VSHD_SYSLOG_CMD_EXEC") => {
            command(r, m, out, m.after(b"User:", b" "), m.after(b"the command:", b""))
        }
        (b"AAAA", b"ACCTLOCAL") => {
            command(r, m, out, m.after(b"Username: ", b" "), m.after(b"Command: ", b""))
        }
        (b"AAA", b"AAA_ACCOUNTING_MESSAGE") => accounting(r, m, out),
        // `User anna locked out on authentication failure`, `User anna unlocked by bruno on vty0 (10.0.0.5)`
        (b"AAA", b"USER_LOCKED") => {
            account(r, m, out, Change::AccountLocked, b"", m.after(b"User ", b" "), b"")
        }
        (b"AAA", b"USER_UNLOCKED" | b"USER_RESET") => account(
            r,
            m,
            out,
            Change::AccountUnlocked,
            m.after(b" by ", b" "),
            m.after(b"User ", b" "),
            m.after(b" (", b")"),
        ),
        // An applet runs the commands that its author wrote.
        (b"SYS", b"LOGOUT" | b"RESTART" | b"CPUHOG") => Parsed::Irrelevant(Kind::Housekeeping),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

fn command(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>, user: &[u8], what: &[u8]) -> Parsed {
    out.event(Act::Exec, Outcome::Success)
        .at(m.time(r))
        .service(Service::Management)
        .user(user)
        .host(m.host(r))
        .observer(m.host(r))
        .detail(what.strip_suffix(b"<cr>").unwrap_or(what))
        .done()
}

/// `start:10.0.0.5@pts/0:anna:`, `update:10.0.0.5@pts/0:anna:configure terminal ; no logging (SUCCESS)`,
/// `stop:10.0.0.5@pts/0:anna:shell terminated gracefully`.
fn accounting(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let mut parts = m.text.splitn(4, |b| *b == b':');
    let [kind, line, user, what] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let from = line.split(|b| *b == b'@').next().unwrap_or_default();
    match kind {
        b"start" if Ip::parse(from).is_some() => admin(r, m, out, true, user, from, false),
        b"update" if find(what, b"configure terminal").is_some() => config(r, m, out, user, from, what),
        b"update" if !what.is_empty() => command(r, m, out, user, what),
        kind => Parsed::housekeeping_if(matches!(kind, b"start" | b"stop" | b"update")),
    }
}

/// The zone-based firewall: `Start tcp session: initiator (198.51.100.7:2345) -- responder (10.0.0.9:22)`,
/// `Dropping tcp session 198.51.100.7:2345 10.0.0.9:22 on zone-pair out-in class … due to …`.
fn zone(r: &Record<'_>, m: &Message<'_>, name: &[u8], text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (outcome, from, to) = match name {
        b"SESS_AUDIT_TRAIL_START" => (
            Outcome::Success,
            after(text, b"initiator (", b")").unwrap_or_default(),
            after(text, b"responder (", b")").unwrap_or_default(),
        ),
        b"DROP_PKT" => match find(text, b" => ") {
            // `Dropping tcp pkt from Gi0/0/0 198.51.100.7:2345 => 10.0.0.9:22(target:class)-(…`, as IOS-XE says it.
            Some(arrow) => {
                let to = word(&text[arrow + 4..]).0;
                let to = &to[..memchr::memchr(b'(', to).unwrap_or(to.len())];
                (Outcome::Failure, text[..arrow].rsplit(|b| *b == b' ').next().unwrap_or_default(), to)
            }
            None => {
                let (from, rest) = word(after(text, b" session ", b"").unwrap_or_default());
                (Outcome::Failure, from, word(rest).0)
            }
        },
        b"SESS_AUDIT_TRAIL" => return Parsed::Irrelevant(Kind::Repeats),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let (src, sport) = Ip::parse_with_port(from);
    let (dst, dport) = Ip::parse_with_port(to);
    Flow {
        time: m.time(r),
        outcome,
        src,
        sport,
        dst,
        dport,
        observer: m.host(r),
        rule: after(text, b"zone-pair ", b" ").unwrap_or_default(),
        ..Flow::default()
    }
    .tell(out)
}

/// Remote access that the router itself ends: Easy VPN and SSL VPN.
fn vpn(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    // `(Server) UP Client_type=… User=anna Group=corp Client_public_addr=198.51.100.7 Assigned_client_addr=10.8.0.14`
    if m.is(b"CRYPTO") {
        if !matches!(m.name, b"VPN_TUNNEL_STATUS" | b"EZVPN_CONNECTION_UP" | b"EZVPN_CONNECTION_DOWN")
            || !m.says(b"(Server)")
        {
            // Of tunnels between sites, and of packets that belong to none.
            let tunnel = begins_with(
                m.name,
                &[b"VPN_TUNNEL_", b"EZVPN_", b"ISAKMP", b"SESSION_", b"IKMP_", b"IKEV2_"],
            );
            return Parsed::housekeeping_if(tunnel || begins_with(m.name, &[b"RECVD_PKT_", b"PKT_REPLAY_"]));
        }
        let field = |name: &[u8]| {
            let value = m.after(name, b" ");
            value.strip_suffix(b",").unwrap_or(value)
        };
        let down = m.named(b"DOWN") || m.says(b" DOWN ");
        return out
            .event(if down { Act::SessionEnd } else { Act::SessionStart }, Outcome::Success)
            .at(m.time(r))
            .service(Service::Vpn)
            .user(field(b"User="))
            .group(field(b"Group="))
            .source(field(b"Client_public_addr="))
            .tunnel(field(b"Assigned_client_addr="))
            .observer(m.host(r))
            .done();
    }
    // `vw_ctx: corp vw_gw: gw remote_ip: 198.51.100.7 user_name: anna, Authentication successful, user logged in`
    let ok = match m.name {
        b"LOGIN_AUTH_PASSED" => true,
        b"LOGIN_AUTH_REJECTED" => false,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .at(m.time(r))
        .service(Service::Vpn)
        .user(m.after(b"user_name: ", b", "))
        .group(m.after(b"vw_ctx: ", b" "))
        .source(m.after(b"remote_ip: ", b" "))
        .reason(if ok { Reason::None } else { Reason::BadPassword })
        .observer(m.host(r))
        .done()
}

/// Access lists with `log`.
fn filter(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let told = |outcome, src: (Ip, u16), dst: (Ip, u16), times: &[u8], rule| Flow {
        time: m.time(r),
        outcome,
        src: src.0,
        sport: src.1,
        dst: dst.0,
        dport: dst.1,
        repeat: u16::try_from(number(times)).unwrap_or(u16::MAX),
        observer: m.host(r),
        rule,
        ..Flow::default()
    };
    // `Src IP: 10.0.0.5, Dst IP: 10.0.0.9, Src Port: 4411, Dst Port: 22, …, ACL Name: VTY, ACE Action: Deny, …, Hit-count: 5`
    if m.is(b"ACLLOG") {
        let field = |name: &[u8]| m.after(name, b",").trim_ascii();
        let (src, dst) = (field(b"Src IP:"), field(b"Dst IP:"));
        let denied = field(b"ACE Action:").eq_ignore_ascii_case(b"deny");
        return told(
            if denied { Outcome::Failure } else { Outcome::Success },
            (Ip::parse(src), port(field(b"Src Port:"))),
            (Ip::parse(dst), port(field(b"Dst Port:"))),
            field(b"Hit-count:"),
            field(b"ACL Name:"),
        )
        .tell(out);
    }
    // `list VTY denied tcp 198.51.100.7(4411) (Gi0/0 aabb.ccdd.eeff) -> 10.0.0.9(22), 1 packet`
    let Some(rest) = after(m.text, b"list ", b"") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (rule, rest) = word(rest);
    let (verb, rest) = word(rest);
    let denied = match verb {
        b"denied" => true,
        b"permitted" => false,
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let Some(arrow) = find(rest, b" -> ") else { return Parsed::Irrelevant(Kind::Traffic) };
    let (_, from) = word(&rest[..arrow]);
    let to = word(&rest[arrow + 4..]).0;
    told(
        if denied { Outcome::Failure } else { Outcome::Success },
        end(word(from).0),
        end(to.strip_suffix(b",").unwrap_or(to)),
        after(rest, b", ", b" ").unwrap_or_default(),
        rule,
    )
    .tell(out)
}

/// `198.51.100.7(4411)`, `2001:db8::7(4411)`.
fn end(text: &[u8]) -> (Ip, u16) {
    match memchr::memchr(b'(', text) {
        Some(open) => (Ip::parse(&text[..open]), port(&text[open + 1..])),
        None => (Ip::parse(text), 0),
    }
}

/// Attacks on the switched network: a port that is not what it seems.
fn attack(r: &Record<'_>, m: &Message<'_>, out: &mut Emit<'_>) -> Parsed {
    let denied = match m.facility {
        b"PORT_SECURITY" | b"PORT-SECURITY" | b"ETH_PORT_SEC" => m.named(b"VIOLATION"),
        b"DHCP_SNOOPING" | b"DHCP_SNOOP" => {
            m.named(b"UNTRUSTED_PORT")
                || m.named(b"MATCH_MAC_FAIL")
                || m.named(b"FAKE_INTERFACE")
                || m.named(b"ERRDISABLE")
                || m.named(b"RATE_LIMIT")
        }
        b"SW_DAI" | b"ARPSNOOP" | b"DAI" => m.named(b"DENY") || m.named(b"INVALID") || m.named(b"EXCEEDED"),
        b"SW_MATM" | b"MAC_MOVE" | b"L2FM" => m.named(b"FLAP") || m.named(b"MAC_MOVE"),
        b"SISF" => m.named(b"THEFT"),
        b"IP" => m.name == b"DUPADDR",
        b"ARP" => m.name == b"STCKYARPOVR",
        b"SPANTREE" => m.named(b"BPDUGUARD") || m.named(b"ROOTGUARD_BLOCK"),
        b"IP_SOURCE_GUARD" | b"IPSG" => true,
        b"PM" => {
            m.named(b"ERR_DISABLE")
                && [&b"psecure"[..], b"bpduguard", b"arp-inspection", b"dhcp-rate", b"security-violation"]
                    .iter()
                    .any(|w| m.says(w))
        }
        _ => false,
    };
    if denied {
        return out
            .event(Act::Nac, Outcome::Failure)
            .at(m.time(r))
            .service(Service::Wired)
            .mac(if m.is(b"ARP") { m.after(b" by hw: ", b" ") } else { m.mac() })
            .source_ip(claimed(m.text))
            .vlan(vlan(m.text))
            .observer(m.host(r))
            .detail(interface(m))
            .reason(Reason::NotAllowed)
            .done();
    }
    // A port that became a trunk carries all VLANs; a mismatch lets frames hop; VTP can rewrite every VLAN.
    let hop = match m.facility {
        b"DTP" => m.named(b"TRUNKPORTON"),
        b"CDP" => m.named(b"NATIVE_VLAN_MISMATCH"),
        b"SPANTREE" => m.named(b"RECV_PVID_ERR") || m.named(b"ROOTCHANGE"),
        b"SW_VLAN" | b"VTP" => {
            m.named(b"VTP_MODE_CHANGE")
                || m.named(b"VTP_DOMAIN_NAME_CHG")
                || m.named(b"VTP_USER_NOTIFICATION")
        }
        _ => false,
    };
    if hop {
        return out
            .event(Act::Alert, Outcome::Unknown)
            .at(m.time(r))
            .service(Service::Wired)
            .observer(m.host(r))
            .host(m.host(r))
            .vlan(vlan(m.text))
            .severity(if m.is(b"DTP") || m.is(b"CDP") { 3 } else { 2 })
            .detail(m.text)
            .target(interface(m))
            .done();
    }
    Parsed::Irrelevant(Kind::OtherMessage)
}

/// The address that someone took for his: the first of the text.
fn claimed(text: &[u8]) -> Ip {
    text.split(|b| matches!(b, b' ' | b',' | b'/' | b'=' | b'['))
        .map(Ip::parse)
        .find(|ip| ip.is_some())
        .unwrap_or_default()
}

/// `… vlan 110`, `VLAN=110`, `VLAN0110`.
fn vlan(text: &[u8]) -> u16 {
    [&b"vlan "[..], b"VLAN ", b"VLAN=", b"VLAN", b"Vlan"]
        .iter()
        .filter_map(|marker| after(text, marker, b""))
        .map(port)
        .find(|n| (1..4095).contains(n))
        .unwrap_or(0)
}

/// The port that a message names.
fn interface<'a>(m: &Message<'a>) -> &'a [u8] {
    let word = [
        &b"on port "[..],
        b"between port ",
        b"Interface ",
        b"interface ",
        b"Port ",
        b"port ",
        b"IF=",
        b"detected on ",
        b"discovered on ",
        b" on ",
    ]
    .iter()
    .map(|marker| m.after(marker, b" "))
    .find(|w| w.iter().any(u8::is_ascii_digit) && w.first().is_some_and(u8::is_ascii_alphabetic))
    .unwrap_or_default();
    word.strip_suffix(b",").or_else(|| word.strip_suffix(b".")).unwrap_or(word)
}
