//! Rows of the advanced hunting tables, as the streaming API wraps them (`category`, `properties`), as Log Analytics keeps
//! them, and as an export of the query page gives them. What a row is stands in its `ActionType`.
//!
//! Traps: `LogonAttempted` has no result; `RemoteIP` is the other side whichever way the connection went; the accounts of
//! the system itself start most processes; cloud logons of IdentityLogonEvents are in Entra's sign-in log too.

use super::{first, time};
use crate::decode::find::find;
use crate::decode::json::{Paths, Value};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::firewall::asa_traffic::worth;
use crate::record::Record;
use crate::source::{Kind, Parsed, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use std::sync::LazyLock;

/// Each may stand under `properties` or at the top.
const NAMES: [&str; 36] = [
    "Timestamp",
    "ActionType",
    "DeviceName",
    "AccountName",
    "AccountDomain",
    "AccountUpn",
    "LogonType",
    "RemoteIP",
    "RemotePort",
    "RemoteDeviceName",
    // 10
    "FailureReason",
    "ProcessCommandLine",
    "FolderPath",
    "LocalIP",
    "LocalPort",
    "Application",
    "Protocol",
    "IPAddress",
    "DestinationDeviceName",
    "TargetDeviceName",
    // 20
    "TargetAccountUpn",
    "TargetAccountDisplayName",
    "AccountDisplayName",
    "AccountId",
    "UserAgent",
    "CountryCode",
    "City",
    "ObjectName",
    "RawEventData.UserId",
    "ProcessRemoteSessionIP",
    // 30
    "InitiatingProcessAccountName",
    "InitiatingProcessAccountDomain",
    "AdditionalFields",
    "IsLocalAdmin",
    "TimeGenerated",
    "InitiatingProcessRemoteSessionIP",
];
const N: usize = NAMES.len();

static PATHS: LazyLock<Paths<{ 2 * N }>> = LazyLock::new(|| {
    let under: Vec<String> = NAMES.iter().map(|n| format!("properties.{n}")).collect();
    let mut all = [""; 2 * N];
    for (place, name) in all.iter_mut().zip(under.iter().map(String::as_str).chain(NAMES)) {
        *place = name;
    }
    Paths::new(all)
});

/// What the row tells, from its action.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Logon(Outcome),
    Process,
    Inbound(Outcome),
    Outbound,
    Account(Change),
}

fn action(text: &[u8]) -> Option<Action> {
    Some(match text {
        b"LogonSuccess" => Action::Logon(Outcome::Success),
        b"LogonFailed" => Action::Logon(Outcome::Failure),
        b"ProcessCreated" => Action::Process,
        b"InboundConnectionAccepted" => Action::Inbound(Outcome::Success),
        b"InboundConnectionBlocked" => Action::Inbound(Outcome::Failure),
        b"ConnectionSuccess" => Action::Outbound,
        b"UserAccountCreated" | b"User Account created" | b"User Account Created" | b"Add user." => {
            Action::Account(Change::AccountCreated)
        }
        b"UserAccountDeleted" | b"User Account deleted" | b"Delete user." => {
            Action::Account(Change::AccountDeleted)
        }
        b"UserAccountAddedToLocalGroup" | b"Group Membership changed" | b"Add member to group." => {
            Action::Account(Change::GroupAdded)
        }
        b"UserAccountRemovedFromLocalGroup" | b"Remove member from group." => {
            Action::Account(Change::GroupRemoved)
        }
        b"Account Password changed" | b"Reset user password." | b"PasswordChangeAttempt" => {
            Action::Account(Change::PasswordReset)
        }
        b"Account disabled" | b"Disable account." => Action::Account(Change::AccountDisabled),
        b"Account enabled" | b"Enable account." => Action::Account(Change::AccountEnabled),
        b"Account locked" => Action::Account(Change::AccountLocked),
        b"Account unlocked" => Action::Account(Change::AccountUnlocked),
        b"Add member to role." | b"Add eligible member to role." => Action::Account(Change::RoleGranted),
        b"Remove member from role." => Action::Account(Change::RoleRemoved),
        b"Consent to application." | b"Add app role assignment grant to user." => {
            Action::Account(Change::ConsentGranted)
        }
        b"Add service principal credentials." => Action::Account(Change::KeyCreated),
        b"ScheduledTaskCreated" => Action::Account(Change::TaskCreated),
        b"ServiceInstalled" => Action::Account(Change::ServiceInstalled),
        b"SecurityLogCleared" => Action::Account(Change::LoggingStopped),
        _ => return None,
    })
}

/// The action without picking anything; nearly all rows are of no concern.
fn named(body: &[u8]) -> &[u8] {
    const KEY: &[u8] = b"\"ActionType\"";
    let value = || {
        let rest = body.get(find(body, KEY)? + KEY.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
        rest.get(..memchr::memchr(b'"', rest)?)
    };
    value().unwrap_or_default()
}

pub(super) fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let name = named(r.body);
    let Some(action) = action(name) else {
        return Parsed::Irrelevant(match name {
            b"LogonAttempted" => Kind::Pending,
            b"UserLoggedIn" | b"UserLoginFailed" => Kind::Repeats,
            _ => Kind::OtherMessage,
        });
    };
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let row = Row { v, name };
    match action {
        Action::Logon(outcome) if !row.get(15).bytes().is_empty() => row.identity(r, out, outcome),
        Action::Logon(outcome) => row.logon(r, out, outcome),
        Action::Process => row.process(r, out),
        Action::Inbound(outcome) => row.flow(r, out, true, outcome),
        Action::Outbound => row.flow(r, out, false, Outcome::Success),
        Action::Account(change) => row.account(r, out, change),
    }
}

struct Row<'a> {
    v: [Value<'a>; 2 * N],
    name: &'a [u8],
}

impl<'a> Row<'a> {
    fn get(&self, n: usize) -> Value<'a> {
        first(&self.v, &[n, n + N])
    }

    fn at(&self, r: &Record<'_>) -> Option<(portreeve_model::EventTime, portreeve_model::time::Certainty)> {
        time(r, first(&self.v, &[0, N, 34 + N]).bytes())
    }

    /// Accounts of the system itself, of its desktop and of machines.
    fn own(&self) -> bool {
        let (user, domain) = (self.get(3).bytes(), self.get(4).bytes());
        user.ends_with(b"$")
            || domain.eq_ignore_ascii_case(b"nt authority")
            || domain.eq_ignore_ascii_case(b"window manager")
            || domain.eq_ignore_ascii_case(b"font driver host")
            || [&b"system"[..], b"local service", b"network service"]
                .iter()
                .any(|n| user.eq_ignore_ascii_case(n))
    }

    /// DeviceLogonEvents: a logon on the device that wrote it.
    fn logon(&self, r: &Record<'_>, out: &mut Emit<'_>, outcome: Outcome) -> Parsed {
        let kind = self.get(6);
        let (service, number) = match kind.bytes() {
            b"RemoteInteractive" | b"RemoteInteractive (RDP) logons" => (Service::Rdp, 10),
            b"CachedRemoteInteractive" => (Service::Rdp, 12),
            b"Interactive" => (Service::Windows, 2),
            b"Network" => (Service::Windows, 3),
            b"NetworkCleartext" => (Service::Windows, 8),
            b"Unlock" => (Service::Windows, 7),
            b"CachedInteractive" => (Service::Windows, 11),
            b"Batch" | b"Service" => return Parsed::Irrelevant(Kind::Machine),
            _ => (Service::Windows, 0),
        };
        if self.own() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let protocol = self.get(16).bytes();
        let device = self.get(2).text();
        out.event(Act::Logon, outcome)
            .at(self.at(r))
            .service(service)
            .domain_user(&self.get(4).text(), &self.get(3).text())
            .source(self.get(7).bytes())
            .device(&self.get(9).text())
            .host(&device)
            .observer(&device)
            .logon_type(number)
            .method(method(protocol))
            .reason(if outcome == Outcome::Failure { reason(self.get(10).bytes()) } else { Reason::None })
            .flag_if(self.get(33).truth() == Some(true), Flags::PRIVILEGED)
            .done()
    }

    /// IdentityLogonEvents: what a domain controller or Entra checked.
    fn identity(&self, r: &Record<'_>, out: &mut Emit<'_>, outcome: Outcome) -> Parsed {
        if self.own() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let directory = self.get(15).is(b"Active Directory");
        let upn = self.get(5).text();
        let event = out
            .event(Act::Auth, outcome)
            .at(self.at(r))
            .source(self.get(17).bytes())
            .device(&self.get(2).text())
            .group(&self.get(6).text())
            .method(method(self.get(16).bytes()))
            .reason(if outcome == Outcome::Failure { reason(self.get(10).bytes()) } else { Reason::None });
        let event = if self.get(3).bytes().is_empty() || !directory && !upn.is_empty() {
            event.user(&upn)
        } else {
            event.domain_user(&self.get(4).text(), &self.get(3).text())
        };
        if directory {
            event
                .service(Service::Directory)
                .host(&self.get(19).text())
                .observer(&self.get(18).text())
                .flag(Flags::NON_INTERACTIVE)
                .done()
        } else {
            // Entra's own log says it with the application, the device and the second factor.
            event
                .service(Service::Idp)
                .client(&self.get(24).text())
                .country(self.get(25).bytes())
                .flag(Flags::REPEATS)
                .done()
        }
    }

    fn process(&self, r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
        if self.own() {
            return Parsed::Irrelevant(Kind::Machine);
        }
        let device = self.get(2).text();
        let line = first(&self.v, &[11, 11 + N, 12, 12 + N]).text();
        out.event(Act::Exec, Outcome::Success)
            .at(self.at(r))
            .service(Service::Host)
            .domain_user(&self.get(4).text(), &self.get(3).text())
            // From where the session comes in which it runs.
            .source(first(&self.v, &[29, 29 + N, 35, 35 + N]).bytes())
            .detail(&line)
            .host(&device)
            .observer(&device)
            .done()
    }

    fn flow(&self, r: &Record<'_>, out: &mut Emit<'_>, inbound: bool, outcome: Outcome) -> Parsed {
        let port = |n: usize| u16::try_from(number(self.get(n).bytes())).unwrap_or(0);
        let mut ends =
            [(Ip::parse(self.get(7).bytes()), port(8)), (Ip::parse(self.get(13).bytes()), port(14))];
        if !inbound {
            ends.reverse();
        }
        let [(from, from_port), (to, to_port)] = ends;
        if let Some(kind) = worth(from, to, to_port, outcome == Outcome::Success) {
            return Parsed::Irrelevant(kind);
        }
        let device = self.get(2).text();
        let event = out
            .event(Act::Flow, outcome)
            .at(self.at(r))
            .service(Service::Host)
            .source_ip(from)
            .source_port(from_port)
            .destination_ip(to)
            .destination_port(to_port)
            .observer(&device);
        if inbound { event.host(&device) } else { event }.done()
    }

    fn account(&self, r: &Record<'_>, out: &mut Emit<'_>, change: Change) -> Parsed {
        let device = first(&self.v, &[18, 18 + N, 2, 2 + N]).text();
        let cloud = self.name.ends_with(b".");
        // In the tables of devices the account is the one that changed, and who did it started the process.
        let of_device = !self.get(30).bytes().is_empty();
        let event = out.event(Act::Account, Outcome::Success).at(self.at(r)).change(change);
        let event = if cloud {
            event
                .service(Service::Idp)
                .user(&first(&self.v, &[28, 28 + N, 5, 5 + N, 23, 23 + N, 22, 22 + N]).text())
                .target(&self.get(27).text())
                .client(&self.get(24).text())
                .country(self.get(25).bytes())
                .city(&self.get(26).text())
                .source(self.get(17).bytes())
        } else if of_device {
            if self.get(30).bytes().ends_with(b"$") && matches!(change, Change::TaskCreated) {
                return Parsed::Irrelevant(Kind::Machine);
            }
            event
                .service(Service::Host)
                .domain_user(&self.get(31).text(), &self.get(30).text())
                .target(&self.get(3).text())
                .host(&device)
        } else {
            event
                .service(Service::Directory)
                .user(&first(&self.v, &[5, 5 + N, 3, 3 + N, 22, 22 + N]).text())
                .target(&first(&self.v, &[20, 20 + N, 21, 21 + N]).text())
                .source(self.get(17).bytes())
        };
        let event = if change == Change::GroupAdded {
            let fields =
                [self.v[32], self.v[32 + N]].into_iter().find(|f| !f.is_missing()).unwrap_or_default();
            event.detail(&group(&fields).unwrap_or_default())
        } else {
            event.detail(self.name)
        };
        event.observer(&device).done()
    }
}

static GROUP: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["TO\\.GROUP", "GroupName", "FROM\\.GROUP"]));

/// The group stands in the additional fields, which are an object or a text that holds one.
fn group(fields: &Value<'_>) -> Option<Vec<u8>> {
    let text = fields.text();
    let object = if fields.nested().is_empty() { &*text } else { fields.nested() };
    let v = GROUP.pick(object).ok()?;
    Some(first(&v, &[0, 1, 2]).text().into_owned())
}

fn method(protocol: &[u8]) -> Method {
    match protocol {
        b"Kerberos" => Method::Kerberos,
        b"Ntlm" | b"NTLM" => Method::Ntlm,
        _ => Method::Unknown,
    }
}

fn reason(text: &[u8]) -> Reason {
    match text {
        b"InvalidUserNameOrPassword" | b"WrongPassword" | b"OldPassword" | b"Invalid credentials" => {
            Reason::BadPassword
        }
        b"UnknownUser" | b"NoSuchUser" | b"User does not exist" => Reason::NoUser,
        b"AccountLocked" | b"AccountLockedOut" => Reason::Locked,
        b"AccountDisabled" => Reason::Disabled,
        b"AccountExpired" | b"PasswordExpired" => Reason::Expired,
        b"InvalidLogonHours" | b"LogonHoursRestriction" => Reason::Hours,
        b"" => Reason::None,
        _ => Reason::Other,
    }
}
