//! Windows Security log: logons, Kerberos and NTLM, accounts and groups, services, tasks, cleared logs.
//!
//! Read from: Microsoft "Audit events" reference. Traps: type 3 is also the first leg of RDP with NLA; `::ffff:` and `-`
//! addresses; sub-status names why a logon failed, and some sub-statuses are no failed guess at all; machine accounts
//! (`$`) log on all day.

use crate::emit::Emit;
use crate::record::Record;
use crate::source::{Field, Kind, Parsed, Reader, Row, Source};
use crate::windows::{WinEvent, claimed, is_remote_tool};
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};

pub static SOURCE: Source = Source {
    name: "windows_security",
    title: "Windows Security log",
    row: Row::Authentication,
    gives: &[Act::Logon, Act::Logoff, Act::Auth, Act::Account, Act::Exec, Act::Posture],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::SessionId, Field::Bytes],
    traps: &[
        "failure_codes",
        "machine_accounts",
        "mapped_addresses",
        "nxlog_local_time",
        "name_with_labels",
        "other_languages",
    ],
    manual: "Microsoft: Advanced security audit policy settings, event by event",
    enable: "advanced audit policy: Logon, Kerberos, Credential Validation, Account Management, Process Creation (with command line)",
    general: false,
    marks: crate::windows::MARKS,
    reader: Reader::Code { claim: |r| claimed(r, wanted), parse, join: None },
};

fn wanted(id: u32, channel: &[u8], provider: &[u8]) -> bool {
    let by_channel = channel.eq_ignore_ascii_case(b"Security") || channel.eq_ignore_ascii_case(b"System");
    let by_provider = provider.starts_with(b"Microsoft-Windows-Security-Auditing")
        || provider.starts_with(b"Microsoft-Windows-Eventlog")
        || provider.starts_with(b"Service Control Manager");
    (by_channel || by_provider)
        && !provider.starts_with(b"AD FS")
        && !matches!(id, 20249..=20300 | 6272..=6280 | 4778 | 4779)
}

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Some(e) = WinEvent::of(r) else { return Parsed::NotMine };
    let at = e.time(r);
    let host = &*e.computer;
    let target = e.get("TargetUserName");
    let machine = target.ends_with(b"$");
    match e.id {
        4624 => {
            let kind = u8::try_from(e.number("LogonType")).unwrap_or(0);
            if machine
                || matches!(kind, 0 | 4 | 5)
                || service_name(&target)
                || service_sid(&e.get("TargetUserSid"))
            {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let package = e.get("AuthenticationPackageName");
            let ip = e.get("IpAddress");
            let method = if package.starts_with(b"Kerberos") {
                Method::Kerberos
            } else if package.starts_with(b"NTLM") {
                Method::Ntlm
            } else {
                Method::Password
            };
            out.event(Act::Logon, Outcome::Success)
                .at(at)
                .service(service(kind))
                .domain_user(&e.get("TargetDomainName"), &target)
                .source(&ip)
                .host(host)
                .observer(host)
                .device(&e.get("WorkstationName"))
                .logon_type(kind)
                .method(method)
                .done()
        }
        4625 => {
            let kind = u8::try_from(e.number("LogonType")).unwrap_or(0);
            let (sub, status) = (e.get("SubStatus"), e.get("Status"));
            let code = if sub.is_empty() || &*sub == b"0x0" { &*status } else { &*sub };
            let Some(reason) = failure(code) else { return Parsed::Irrelevant(Kind::OtherMessage) };
            if machine {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Logon, Outcome::Failure)
                .at(at)
                .service(service(kind))
                .domain_user(&e.get("TargetDomainName"), &target)
                .source(&e.get("IpAddress"))
                .host(host)
                .observer(host)
                .device(&e.get("WorkstationName"))
                .logon_type(kind)
                .reason(reason)
                .done()
        }
        4634 | 4647 => {
            if machine || service_name(&target) || service_sid(&e.get("TargetUserSid")) {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Logoff, Outcome::Success)
                .at(at)
                .service(Service::Windows)
                .domain_user(&e.get("TargetDomainName"), &target)
                .host(host)
                .observer(host)
                .done()
        }
        4648 => {
            // Explicit credentials: the subject uses the target account towards another host.
            if machine || e.get("SubjectUserName").ends_with(b"$") {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let server = e.get("TargetServerName");
            if &*server == b"localhost" || server.is_empty() {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            // Where a service acts for somebody, he is the one whose credentials it was given.
            let (domain, subject) = (e.get("SubjectDomainName"), e.get("SubjectUserName"));
            let own = service_name(&subject) || service_sid(&e.get("SubjectUserSid"));
            let event = out.event(Act::Posture, Outcome::Unknown).at(at).service(Service::Windows);
            let event = if own {
                event.domain_user(&e.get("TargetDomainName"), &target)
            } else {
                event.domain_user(&domain, &subject).target(&target)
            };
            event.host(&server).observer(host).source(&e.get("IpAddress")).done()
        }
        4672 => {
            let user = e.get("SubjectUserName");
            if user.ends_with(b"$") || service_name(&user) || service_sid(&e.get("SubjectUserSid")) {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Windows)
                .change(Change::PrivilegeUsed)
                .domain_user(&e.get("SubjectDomainName"), &user)
                .detail(first_privilege(&e.get("PrivilegeList")))
                .host(host)
                .observer(host)
                .flag(Flags::PRIVILEGED)
                .done()
        }
        4768 | 4771 | 4776 => kerberos(r, &e, out),
        4769 => {
            let service_name = e.get("ServiceName");
            if machine || target.contains(&b'$') || &*service_name == b"krbtgt" {
                return Parsed::Irrelevant(Kind::Machine);
            }
            let host_name = service_name.strip_suffix(b"$");
            let Some(reached) = host_name else { return Parsed::Irrelevant(Kind::RoutineUse) };
            // A ticket for a host is an intent to reach it; the host's own log says whether it did.
            out.event(
                Act::Auth,
                if &*e.get("Status") == b"0x0" { Outcome::Success } else { Outcome::Failure },
            )
            .at(at)
            .service(Service::Directory)
            .user(&target)
            .source(&e.get("IpAddress"))
            .host(reached)
            .observer(host)
            .method(Method::Kerberos)
            .flag(Flags::NON_INTERACTIVE)
            .done()
        }
        4720 | 4722 | 4725 | 4726 | 4738 | 4767 | 4740 | 4723 | 4724 | 4781 => account(r, &e, out),
        4728 | 4732 | 4756 | 4729 | 4733 | 4757 => {
            let change =
                if matches!(e.id, 4728 | 4732 | 4756) { Change::GroupAdded } else { Change::GroupRemoved };
            let member = e.get("MemberName");
            // `CN=Anna Smith,OU=…`: the name; a SID alone says less.
            let name = member
                .strip_prefix(b"CN=")
                .or_else(|| member.strip_prefix(b"cn="))
                .map(|m| &m[..memchr::memchr(b',', m).unwrap_or(m.len())]);
            let sid = e.get("MemberSid");
            let who = name.filter(|n| !n.is_empty()).unwrap_or(&sid);
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Directory)
                .change(change)
                .domain_user(&e.get("SubjectDomainName"), &e.get("SubjectUserName"))
                .target(who)
                .detail(&target)
                .observer(host)
                .flag_if(privileged_group(&target), Flags::PRIVILEGED)
                .done()
        }
        4697 | 7045 => {
            let name = e.get("ServiceName");
            let path = if e.id == 7045 { e.get("ImagePath") } else { e.get("ServiceFileName") };
            // 7045 has no subject; NXLog puts who wrote the event beside it, under the name that the event itself uses
            // for the account that the service will run as.
            let subject = e.get("SubjectUserName");
            let nxlog = subject.is_empty() && !e.get("AccountType").is_empty();
            let (domain, user) = if nxlog {
                (e.get("Domain"), e.get("AccountName"))
            } else {
                (e.get("SubjectDomainName"), subject)
            };
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .change(Change::ServiceInstalled)
                .domain_user(&domain, &user)
                .target(&name)
                .detail(&path)
                .host(host)
                .observer(host)
                .done()
        }
        4698 => out
            .event(Act::Account, Outcome::Success)
            .at(at)
            .service(Service::Host)
            .change(Change::TaskCreated)
            .domain_user(&e.get("SubjectDomainName"), &e.get("SubjectUserName"))
            .target(&e.get("TaskName"))
            .host(host)
            .observer(host)
            .done(),
        // Success or failure is no longer audited.
        4719 if removes_audit(&e.get("AuditPolicyChanges")) => out
            .event(Act::Account, Outcome::Success)
            .at(at)
            .service(Service::Host)
            .change(Change::LoggingStopped)
            .domain_user(&e.get("SubjectDomainName"), &e.get("SubjectUserName"))
            .target(&e.get("SubcategoryGuid"))
            .host(host)
            .observer(host)
            .done(),
        1102 | 104 => out
            .event(Act::Account, Outcome::Success)
            .at(at)
            .service(Service::Host)
            .change(Change::LoggingStopped)
            .domain_user(&e.get("SubjectDomainName"), &e.get("SubjectUserName"))
            .host(host)
            .observer(host)
            .done(),
        4662 => {
            let properties = e.get("Properties");
            let user = e.get("SubjectUserName");
            let replicates = crate::decode::find::find(&properties, b"1131f6aa-")
                .or_else(|| crate::decode::find::find(&properties, b"1131f6ad-"))
                .is_some();
            if !replicates || user.ends_with(b"$") {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            out.event(Act::Account, Outcome::Success)
                .at(at)
                .service(Service::Directory)
                .change(Change::CredentialAccess)
                .domain_user(&e.get("SubjectDomainName"), &user)
                .detail(b"directory replication")
                .observer(host)
                .done()
        }
        4688 => {
            let user = e.get("SubjectUserName");
            let line = e.get("CommandLine");
            let command = if line.is_empty() { e.get("NewProcessName") } else { line };
            let system = user.ends_with(b"$") || service_name(&user) || service_sid(&e.get("SubjectUserSid"));
            // Tools of remote control run as services; what else the system starts is of no concern.
            if system && !is_remote_tool(&command) {
                return Parsed::Irrelevant(Kind::Machine);
            }
            out.event(Act::Exec, Outcome::Success)
                .at(at)
                .service(Service::Host)
                .domain_user(&e.get("SubjectDomainName"), &user)
                .detail(&command)
                .host(host)
                .observer(host)
                .flag_if(system, Flags::MACHINE)
                .done()
        }
        5140 | 5145 => {
            let user = e.get("SubjectUserName");
            let share = e.get("ShareName");
            if user.ends_with(b"$") || crate::decode::find::find(&share, b"IPC$").is_some() {
                return Parsed::Irrelevant(Kind::RoutineUse);
            }
            out.event(Act::Flow, Outcome::Success)
                .at(at)
                .service(Service::Windows)
                .domain_user(&e.get("SubjectDomainName"), &user)
                .source(&e.get("IpAddress"))
                .destination_port(445)
                .host(host)
                .observer(host)
                .detail(&share)
                .done()
        }
        4825 => out
            .event(Act::Logon, Outcome::Failure)
            .at(at)
            .service(Service::Rdp)
            .domain_user(&e.get("AccountDomain"), &e.get("AccountName"))
            .source(&e.get("ClientAddress"))
            .host(host)
            .observer(host)
            .reason(Reason::NotAllowed)
            .done(),
        _ => {
            let user = e.get("SubjectUserName");
            if user.is_empty() || user.ends_with(b"$") || service_name(&user) {
                return Parsed::Irrelevant(Kind::OtherMessage);
            }
            out.event(Act::Posture, Outcome::Unknown)
                .at(at)
                .service(Service::Windows)
                .domain_user(&e.get("SubjectDomainName"), &user)
                .source(&e.get("IpAddress"))
                .host(host)
                .observer(host)
                .done()
        }
    }
}

fn service(logon_type: u8) -> Service {
    match logon_type {
        10 | 12 => Service::Rdp,
        _ => Service::Windows,
    }
}

/// Accounts that Windows itself runs as.
fn service_name(user: &[u8]) -> bool {
    matches!(user, b"SYSTEM" | b"LOCAL SERVICE" | b"NETWORK SERVICE" | b"ANONYMOUS LOGON")
        || user.starts_with(b"DWM-")
        || user.starts_with(b"UMFD-")
}

/// As [`service_name`], in any language of Windows.
fn service_sid(sid: &[u8]) -> bool {
    matches!(sid, b"S-1-5-18" | b"S-1-5-19" | b"S-1-5-20" | b"S-1-5-7")
        || sid.starts_with(b"S-1-5-90-")
        || sid.starts_with(b"S-1-5-96-")
}

/// `%%8448, %%8450`: success removed, failure removed.
fn removes_audit(changes: &[u8]) -> bool {
    [&b"%%8448"[..], b"%%8450", b"removed"].iter().any(|c| crate::decode::find::find(changes, c).is_some())
}

/// Why a logon failed; `None` for codes that are no failed logon of a person (clock, domain, wrong type).
fn failure(code: &[u8]) -> Option<Reason> {
    let code = code.to_ascii_lowercase();
    Some(match code.as_slice() {
        b"0xc000006a" | b"0xc000006d" => Reason::BadPassword,
        b"0xc0000064" => Reason::NoUser,
        b"0xc0000072" => Reason::Disabled,
        b"0xc000006f" => Reason::Hours,
        b"0xc0000070" | b"0xc0000413" | b"0xc000018c" => Reason::NotAllowed,
        b"0xc0000193" | b"0xc0000071" | b"0xc0000224" => Reason::Expired,
        b"0xc0000234" => Reason::Locked,
        b"0xc000015b" | b"0xc000005e" | b"0xc0000133" | b"0xc0000192" | b"0xc00000dc" => return None,
        _ => Reason::Other,
    })
}

fn kerberos(r: &Record<'_>, e: &WinEvent<'_>, out: &mut Emit<'_>) -> Parsed {
    let user = e.get("TargetUserName");
    if user.ends_with(b"$") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let status = if e.id == 4771 { e.get("FailureCode") } else { e.get("Status") };
    let ok = (&*status == b"0x0" || status.is_empty()) && e.id != 4771;
    let reason = match &*status {
        _ if ok => Reason::None,
        b"0x6" => Reason::NoUser,
        // Disabled, expired, locked out, or out of hours: Kerberos has one code for all of them.
        b"0x12" => Reason::Locked,
        b"0x17" => Reason::Expired,
        b"0x18" => Reason::BadPassword,
        // Another clock, or the wrong kind of key: nobody's password was wrong.
        b"0x25" | b"0xe" | b"0xE" => return Parsed::Irrelevant(Kind::OtherMessage),
        // NTLM names the reasons as a logon does.
        code => match failure(code) {
            Some(reason) => reason,
            None => return Parsed::Irrelevant(Kind::OtherMessage),
        },
    };
    let method = if e.id == 4776 { Method::Ntlm } else { Method::Kerberos };
    out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .at(e.time(r))
        .service(Service::Directory)
        .user(&user)
        .source(&e.get("IpAddress"))
        .device(&e.get("Workstation"))
        .observer(&e.computer)
        .method(method)
        .reason(reason)
        .done()
}

fn account(r: &Record<'_>, e: &WinEvent<'_>, out: &mut Emit<'_>) -> Parsed {
    let target = e.get("TargetUserName");
    if target.ends_with(b"$") {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let change = match e.id {
        4720 => Change::AccountCreated,
        4722 => Change::AccountEnabled,
        4725 => Change::AccountDisabled,
        4726 => Change::AccountDeleted,
        4740 => Change::AccountLocked,
        4767 => Change::AccountUnlocked,
        4724 => Change::PasswordReset,
        _ => return Parsed::Irrelevant(Kind::RoutineUse),
    };
    out.event(Act::Account, Outcome::Success)
        .at(e.time(r))
        .service(Service::Directory)
        .change(change)
        .domain_user(&e.get("SubjectDomainName"), &e.get("SubjectUserName"))
        .target(&target)
        // Where the wrong passwords came from, in the place of the domain.
        .device(&if e.id == 4740 { e.get("TargetDomainName") } else { Default::default() })
        .observer(&e.computer)
        .done()
}

fn privileged_group(group: &[u8]) -> bool {
    const GROUPS: [&[u8]; 12] = [
        b"domain admins",
        b"enterprise admins",
        b"schema admins",
        b"administrators",
        b"account operators",
        b"backup operators",
        b"server operators",
        b"print operators",
        b"dnsadmins",
        b"group policy creator owners",
        b"remote desktop users",
        b"organization management",
    ];
    GROUPS.iter().any(|g| group.eq_ignore_ascii_case(g))
}

fn first_privilege(list: &[u8]) -> &[u8] {
    list.split(|b| b.is_ascii_whitespace()).find(|p| !p.is_empty()).unwrap_or_default()
}
