//! sudo, su, doas, pkexec, logins on consoles and displays, account changes, and PAM of other programs in auth.log.
//!
//! Read from: sudoers(5), su(1), doas(1), pkexec(1), login(1), shadow-utils, pam_unix(8), pam_sss(8), pam_faillock(8),
//! pam_duo(8), pam_google_authenticator(8). Traps: sshd's own PAM lines belong to sshd; cron opens a session every minute
//! and is nobody; a command after `COMMAND=` may hold any text; where accounts come from a directory, pam_unix fails first
//! and pam_sss succeeds: the first is no failed login; logind repeats what the login said.

use crate::decode::find::{begins_with, find};
use crate::decode::kv::{after, between, word};
use crate::emit::{Emit, EventBuilder};
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use portreeve_model::event::{Act, Change, Factor, Flags, Mfa, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "pam",
    title: "Linux auth log (sudo, su, doas, console logins, account changes)",
    row: Row::Authentication,
    gives: &[Act::Mfa, Act::Logon, Act::Logoff, Act::Account, Act::Exec, Act::Posture],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionId, Field::Bytes],
    traps: &["cron", "sudo_refused", "words_in_commands", "directory_accounts"],
    manual: "pam_unix(8), sudoers(5), su(1), doas(1), pkexec(1), useradd(8)",
    enable: "syslog facilities auth and authpriv (default on most systems)",
    general: false,
    marks: &[
        "sudo",
        "su",
        "user",
        "group",
        "passwd",
        "cron",
        "CRON",
        "systemd",
        "login",
        "polkitd",
        "pkexec",
        "chage",
        "doas",
        "gdm",
        "lightdm",
        "sddm",
        "xdm",
        "sssd",
        "krb5_child",
        "cockpit",
        "pam_",
        "COMMAND=",
    ],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    // The login of Junos has messages of its own.
    if r.shape != Shape::Text || r.body.starts_with(b"LOGIN_") {
        return false;
    }
    let program = r.header.program;
    match program {
        // Without a head: what only these write.
        b"" => {
            find(r.body, b" ; USER=").is_some() && find(r.body, b" ; COMMAND=").is_some()
                || (r.body.starts_with(b"pam_") || r.body.starts_with(b"gdm-"))
                    && find(&r.body[..r.body.len().min(60)], b"pam_").is_some()
                    && find(&r.body[..r.body.len().min(60)], b"(sshd:").is_none()
                    && find(&r.body[..r.body.len().min(60)], b"):").is_some()
        }
        b"sudo"
        | b"su"
        | b"su-l"
        | b"doas"
        | b"useradd"
        | b"usermod"
        | b"userdel"
        | b"groupadd"
        | b"groupdel"
        | b"groupmod"
        | b"gpasswd"
        | b"passwd"
        | b"chpasswd"
        | b"CRON"
        | b"cron"
        | b"crond"
        | b"atd"
        | b"anacron"
        | b"systemd-logind"
        | b"login"
        | b"login_duo"
        | b"polkitd"
        | b"pkexec"
        | b"polkit-agent-helper-1"
        | b"chage"
        | b"chfn"
        | b"chsh"
        | b"systemd"
        | b"runuser"
        | b"krb5_child"
        | b"cockpit-session"
        | b"cockpit-ws" => true,
        _ => {
            display(program)
                || program.starts_with(b"sssd")
                || google(program)
                || old_module(program).is_some()
        }
    }
}

fn display(program: &[u8]) -> bool {
    program.starts_with(b"gdm")
        || matches!(program, b"lightdm" | b"sddm" | b"sddm-helper" | b"xdm" | b"kdm" | b"greetd")
}

/// `sudo(pam_google_authenticator)`; sshd's own is read with sshd.
fn google(program: &[u8]) -> bool {
    program.ends_with(b"(pam_google_authenticator)") && !program.starts_with(b"sshd")
}

/// `su(pam_unix)`, as PAM named itself before it named the phase.
fn old_module(program: &[u8]) -> Option<&[u8]> {
    program.strip_suffix(b"(pam_unix)").filter(|service| *service != b"sshd")
}

/// An event on this host.
fn here<'e>(r: &Record<'_>, out: &'e mut Emit<'_>, act: Act, outcome: Outcome) -> EventBuilder<'e> {
    out.event(act, outcome).at(r.header_time()).service(Service::Host).host(r.host()).observer(r.host())
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let text = r.body.trim_ascii();
    // `gdm-password][205]: pam_unix(…`: a name that syslog's rules do not allow.
    let text = match find(text, b"pam_") {
        Some(n) if text.starts_with(b"gdm-") => &text[n..],
        _ => text,
    };
    if text.starts_with(b"pam_") {
        return module(r, text, out);
    }
    if let Some(service) = old_module(r.header.program) {
        let phase: &[u8] = if text.starts_with(b"session ") { b"session" } else { b"auth" };
        return said_of(r, b"pam_unix", service, phase, text, out);
    }
    if google(r.header.program) {
        return code(r, text, out);
    }
    if find(text, b" Duo login for ").is_some() {
        return duo(r, text, out);
    }
    match r.header.program {
        b"sudo" | b"" => sudo(r, text, out),
        b"su" | b"su-l" => su(r, text, out),
        b"doas" => doas(r, text, out),
        b"pkexec" => pkexec(r, text, out),
        b"polkitd" => polkit(r, text, out),
        b"login" => login(r, text, out),
        b"useradd" | b"usermod" | b"gpasswd" | b"userdel" | b"passwd" | b"chpasswd" => account(r, text, out),
        b"systemd-logind" => Parsed::Irrelevant(Kind::Repeats),
        _ => Parsed::Irrelevant(Kind::OtherMessage),
    }
}

/// `anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/id`; what stands before `TTY=` is why not.
fn sudo(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(at) = find(text, b"COMMAND=") else { return Parsed::Irrelevant(Kind::Repeats) };
    let (head, command) = (&text[..at], &text[at + 8..]);
    let (user, said) = match find(head, b" : ") {
        Some(n) => (&head[..n], &head[n + 3..]),
        None => (word(head).0, &b""[..]),
    };
    if said.starts_with(b"(command continued)") {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let allowed = [&b"TTY="[..], b"HOST=", b"PWD=", b"USER=", b"TSID="].iter().any(|k| said.starts_with(k));
    let why = said.split(|b| *b == b';').next().unwrap_or_default();
    let reason = match () {
        () if allowed => Reason::None,
        () if find(why, b"password").is_some() => Reason::BadPassword,
        () => Reason::NotAllowed,
    };
    let target = after(head, b"USER=", b" ").unwrap_or_default();
    here(r, out, Act::Exec, if allowed { Outcome::Success } else { Outcome::Failure })
        .user(user.strip_suffix(b":").unwrap_or(user))
        .target(target)
        .detail(command)
        .reason(reason)
        .flag_if(target == b"root" && allowed, Flags::PRIVILEGED)
        .change(if allowed { Change::PrivilegeUsed } else { Change::None })
        .done()
}

/// One account used as another.
fn became(r: &Record<'_>, user: &[u8], target: &[u8], how: &[u8], ok: bool, out: &mut Emit<'_>) -> Parsed {
    here(r, out, Act::Exec, if ok { Outcome::Success } else { Outcome::Failure })
        .user(user)
        .target(target)
        .detail(how)
        .flag_if(target == b"root" && ok, Flags::PRIVILEGED)
        .change(if ok { Change::PrivilegeUsed } else { Change::None })
        .reason(if ok { Reason::None } else { Reason::BadPassword })
        .done()
}

/// `(to root) anna on pts/0`, `Successful su for root by anna`, BSD's `BAD SU anna to root on ttyp0`.
fn su(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    if let Some(target) = between(text, b"(to ", b")") {
        let user = word(after(text, b") ", b"").unwrap_or_default()).0;
        return became(r, user, target, b"su", !text.starts_with(b"FAILED"), out);
    }
    for (start, ok) in [(&b"Successful su for "[..], true), (b"FAILED su for ", false)] {
        if let Some(rest) = text.strip_prefix(start) {
            let (target, rest) = word(rest);
            let user = rest.strip_prefix(b"by ").unwrap_or_default();
            return became(r, word(user).0, target, b"su", ok, out);
        }
    }
    // `failed: ttyq4 changing from anna to root`.
    if let (Some(user), Some(target)) = (after(text, b" changing from ", b" "), after(text, b" to ", b" ")) {
        return became(r, user, target, b"su", text.starts_with(b"succeeded"), out);
    }
    let bad = text.strip_prefix(b"BAD SU ");
    if let Some(n) = find(text, b" to ").filter(|_| find(text, b" on /dev/").is_some()) {
        let user = bad.map_or(&text[..n], |b| word(b).0);
        return became(r, user, word(&text[n + 4..]).0, b"su", bad.is_none(), out);
    }
    // `+ /dev/pts/0 anna:root` stands beside the line with words.
    Parsed::Irrelevant(Kind::Repeats)
}

/// `anna ran command id as root from /home/anna`, `command not permitted for anna: id`, `failed auth for anna`.
fn doas(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    if let Some(n) = find(text, b" ran command ") {
        let rest = &text[n + 13..];
        let Some(by) = memchr::memmem::rfind(rest, b" as ") else {
            return Parsed::Irrelevant(Kind::OtherMessage);
        };
        let target = word(&rest[by + 4..]).0;
        return here(r, out, Act::Exec, Outcome::Success)
            .user(&text[..n])
            .target(target)
            .detail(&rest[..by])
            .flag_if(target == b"root", Flags::PRIVILEGED)
            .change(Change::PrivilegeUsed)
            .done();
    }
    let (rest, reason) = if let Some(rest) = text.strip_prefix(b"command not permitted for ") {
        (rest, Reason::NotAllowed)
    } else if let Some(rest) = text.strip_prefix(b"failed auth for ") {
        (rest, Reason::BadPassword)
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let (user, command) = match find(rest, b": ") {
        Some(n) => (&rest[..n], &rest[n + 2..]),
        None => (rest, &b"doas"[..]),
    };
    here(r, out, Act::Exec, Outcome::Failure).user(user).detail(command).reason(reason).done()
}

/// `anna: Executing command [USER=root] [TTY=unknown] [CWD=/home/anna] [COMMAND=/usr/bin/x]`.
fn pkexec(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let Some(command) = between(text, b"[COMMAND=", b"]") else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    let user = word(text).0;
    let ok = find(text, b": Executing command").is_some();
    let target = between(text, b"[USER=", b"]").unwrap_or_default();
    here(r, out, Act::Exec, if ok { Outcome::Success } else { Outcome::Failure })
        .user(user.strip_suffix(b":").unwrap_or(user))
        .target(target)
        .detail(command)
        .flag_if(ok && target == b"root", Flags::PRIVILEGED)
        .change(if ok { Change::PrivilegeUsed } else { Change::None })
        .reason(if ok { Reason::None } else { Reason::NotAllowed })
        .done()
}

/// `Operator of unix-session:2 successfully authenticated as unix-user:root to gain … authorization for action A for …
/// (owned by unix-user:anna)`.
fn polkit(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let ok = find(text, b"successfully authenticated as unix-user:");
    let failed = find(text, b"FAILED to authenticate to gain authorization");
    if ok.is_none() && failed.is_none() {
        let known: [&[u8]; 8] = [
            b"Registered Authentication Agent",
            b"Unregistered Authentication Agent",
            b"Loading rules",
            b"Collecting garbage",
            b"Finished loading",
            b"Acquired the name",
            b"Started polkitd",
            b"Reloading rules",
        ];
        return Parsed::housekeeping_if(begins_with(text, &known));
    }
    let target = after(text, b"authenticated as unix-user:", b" ").unwrap_or_default();
    let user = between(text, b"(owned by unix-user:", b")").unwrap_or_default();
    let action = after(text, b"for action ", b" ").unwrap_or_default();
    became(r, user, target, action, ok.is_some(), out)
}

/// `LOGIN ON tty1 BY anna FROM host`, `ROOT LOGIN ON tty1`, `FAILED LOGIN (1) on '/dev/tty1' FOR 'anna', …`,
/// `FAILED LOGIN 1 FROM 192.0.2.7 FOR anna, …`.
fn login(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    if text.starts_with(b"FAILED LOGIN") {
        let user = between(text, b"FOR '", b"'").or_else(|| after(text, b" FOR ", b",")).unwrap_or_default();
        let reason = if find(text, b"not known").is_some() { Reason::NoUser } else { Reason::BadPassword };
        return here(r, out, Act::Logon, Outcome::Failure)
            .user(if user == b"UNKNOWN" { b"" } else { user })
            .source(after(text, b" FROM ", b" ").unwrap_or_default())
            .reason(reason)
            .done();
    }
    if let (Some(user), Some(from)) = (after(text, b" BY ", b" "), after(text, b" FROM ", b" "))
        && find(text, b"LOGIN ON ").is_some()
    {
        return here(r, out, Act::Logon, Outcome::Success).user(user).source(from).done();
    }
    // PAM says the same of the consoles.
    Parsed::Irrelevant(Kind::Repeats)
}

fn account(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let quoted = || between(text, b"'", b"'").unwrap_or_default();
    let mut by = &b""[..];
    let mut detail = &b""[..];
    let (change, target) = if text.starts_with(b"new user: ") {
        detail = text;
        (Change::AccountCreated, between(text, b"name=", b",").unwrap_or_default())
    } else if text.starts_with(b"delete user ") {
        (Change::AccountDeleted, quoted())
    } else if text.starts_with(b"add '") || text.starts_with(b"delete '") {
        // The shadow file of groups says it again.
        if find(text, b"shadow group").is_some() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        detail = between(text, b"group '", b"'").unwrap_or_default();
        (if text.starts_with(b"add") { Change::GroupAdded } else { Change::GroupRemoved }, quoted())
    } else if text.starts_with(b"lock user ") {
        (Change::AccountLocked, quoted())
    } else if text.starts_with(b"unlock user ") {
        (Change::AccountUnlocked, quoted())
    } else if text.starts_with(b"change user ") && find(text, b"' password").is_some() {
        (Change::PasswordReset, quoted())
    } else if let Some(rest) = text.strip_prefix(b"password for '") {
        by = between(rest, b"changed by '", b"'").unwrap_or_default();
        (Change::PasswordReset, quoted())
    } else if let Some(rest) = text.strip_prefix(b"user ") {
        let group = after(rest, b" to group ", b" ").map(|g| (Change::GroupAdded, g));
        let Some((change, group)) =
            group.or_else(|| after(rest, b" from group ", b" ").map(|g| (Change::GroupRemoved, g)))
        else {
            return Parsed::Irrelevant(Kind::OtherMessage);
        };
        by = after(rest, b" by ", b" ").unwrap_or_default();
        detail = group;
        (change, word(rest).0)
    } else {
        return Parsed::Irrelevant(Kind::OtherMessage);
    };
    here(r, out, Act::Account, Outcome::Success).change(change).user(by).target(target).detail(detail).done()
}

/// `pam_unix(gdm-password:session): session opened for user anna(uid=1000) by (uid=0)`.
fn module(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let name = text.split(|b| *b == b'(').next().unwrap_or_default();
    let Some(inside) = between(text, b"(", b")") else { return Parsed::Irrelevant(Kind::OtherMessage) };
    let (service, phase) = match memchr::memchr(b':', inside) {
        Some(n) => (&inside[..n], &inside[n + 1..]),
        None => (inside, &b""[..]),
    };
    let said = find(text, b"): ").and_then(|n| text.get(n + 3..)).unwrap_or_default();
    said_of(r, name, service, phase, said, out)
}

/// What a module said in a phase of a service.
fn said_of(
    r: &Record<'_>,
    name: &[u8],
    service: &[u8],
    phase: &[u8],
    said: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    if matches!(name, b"pam_tally2" | b"pam_faillock" | b"pam_tally") {
        let user =
            after(said, b"for user ", b" ").or_else(|| after(said, b"user ", b" ")).unwrap_or_default();
        if find(said, b"locked").is_none() && find(said, b"deny").is_none() {
            return Parsed::Irrelevant(Kind::Repeats);
        }
        return here(r, out, Act::Account, Outcome::Success)
            .change(Change::AccountLocked)
            .target(user)
            .detail(service)
            .done();
    }
    if let Some(user) = after(said, b"password changed for ", b" ") {
        return here(r, out, Act::Account, Outcome::Success)
            .change(Change::PasswordReset)
            .target(user)
            .done();
    }
    let person = display(service)
        || matches!(service, b"login" | b"remote" | b"cockpit" | b"lightdm" | b"sddm" | b"xrdp-sesman");
    if !person {
        let cron = matches!(service, b"cron" | b"crond" | b"systemd-user" | b"atd")
            || find(service, b"launch").is_some();
        return Parsed::Irrelevant(if cron { Kind::Housekeeping } else { Kind::Repeats });
    }
    let without_number = |u: &[u8]| u.iter().position(|b| *b == b'(').unwrap_or(u.len());
    if phase == b"session" {
        for (start, act) in
            [(&b"session opened for user "[..], Act::Logon), (b"session closed for user ", Act::Logoff)]
        {
            if let Some(rest) = said.strip_prefix(start) {
                let user = word(rest).0;
                let user = &user[..without_number(user)];
                // The greeter itself has a session.
                if matches!(user, b"gdm" | b"lightdm" | b"sddm" | b"Debian-gdm") {
                    return Parsed::Irrelevant(Kind::Housekeeping);
                }
                return here(r, out, act, Outcome::Success).user(user).detail(service).done();
            }
        }
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    if !said.starts_with(b"authentication failure") {
        return Parsed::Irrelevant(Kind::Pending);
    }
    // `login` says itself that a login failed; elsewhere pam_unix fails for every account of a directory.
    if service == b"login" {
        return Parsed::Irrelevant(Kind::Repeats);
    }
    let own = name != b"pam_unix";
    here(r, out, if own { Act::Logon } else { Act::Posture }, Outcome::Failure)
        .user(after(said, b" user=", b" ").unwrap_or_default())
        .source(after(said, b"rhost=", b" ").unwrap_or_default())
        .detail(service)
        .reason(Reason::BadPassword)
        .done()
}

/// `Accepted google_authenticator for anna`, `Invalid verification code for anna`.
fn code(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let (user, ok) = if let Some(user) = after(text, b"Accepted google_authenticator for ", b" ") {
        (user, true)
    } else if let Some(user) = after(text, b"Invalid verification code for ", b" ") {
        (user, false)
    } else {
        return Parsed::Irrelevant(Kind::Pending);
    };
    here(r, out, Act::Mfa, if ok { Outcome::Success } else { Outcome::Failure })
        .user(user)
        .factor(Factor::Totp)
        .mfa(if ok { Mfa::Yes } else { Mfa::Unknown })
        .reason(if ok { Reason::None } else { Reason::MfaFailed })
        .done()
}

/// `Successful Duo login for 'anna' from 192.0.2.7`, `Failed …`, `Aborted …`, `Skipped …: bypass`.
fn duo(r: &Record<'_>, text: &[u8], out: &mut Emit<'_>) -> Parsed {
    let how = word(text).0;
    let user = between(text, b"for '", b"'").unwrap_or_default();
    let (outcome, mfa, reason) = match how {
        b"Successful" => (Outcome::Success, Mfa::Yes, Reason::None),
        b"Skipped" => (Outcome::Success, Mfa::No, Reason::None),
        b"Failed" => (Outcome::Failure, Mfa::Unknown, Reason::MfaFailed),
        b"Aborted" => (Outcome::Failure, Mfa::Unknown, Reason::MfaDenied),
        _ => return Parsed::Irrelevant(Kind::OtherMessage),
    };
    let source = after(text, b"' from ", b" ").unwrap_or_default();
    here(r, out, Act::Mfa, outcome)
        .user(user)
        .source(source.strip_suffix(b":").unwrap_or(source))
        .mfa(mfa)
        .reason(reason)
        .flag_if(how == b"Skipped", Flags::MFA_BYPASS)
        .done()
}
