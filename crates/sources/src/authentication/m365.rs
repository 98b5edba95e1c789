//! Microsoft 365 unified audit log: Management API, Purview's export (`AuditData`), Sentinel's OfficeActivity.
//!
//! Read from: "Office 365 Management Activity API schema", "Audit log activities". Traps: `UserLoggedIn` is written for
//! tokens as well as for people; a failed login says `ResultStatus: Success`; the times have no zone and are UTC; the
//! address comes with its port, of IPv6 in brackets; Purview puts the record as text into a column.

use super::entra::{audit_meaning, sign_in_meaning};
use super::utc;
use crate::decode::find::find;
use crate::decode::json::{Paths, Value, elements};
use crate::decode::kv::number;
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::event::{Act, Change, Flags, Method, Outcome, Reason, Service};
use std::borrow::Cow;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "m365",
    title: "Microsoft 365 unified audit log",
    row: Row::Authentication,
    gives: &[Act::Auth, Act::Config, Act::Account, Act::Alert],
    lacks: &[Field::TunnelIp, Field::Mfa, Field::SessionEnd, Field::Bytes, Field::Host],
    traps: &["failed_is_success", "tokens", "purview", "sentinel"],
    manual: "Office 365 Management Activity API schema; Microsoft Purview: Audit log activities",
    enable: "Purview > Audit turned on; Management Activity API (Audit.AzureActiveDirectory, Audit.Exchange, Audit.General), Search-UnifiedAuditLog or the Sentinel connector",
    general: false,
    marks: &["\"Workload\"", "\"OfficeWorkload\"", "\"AuditData\""],
    reader: Reader::Code { claim, parse, join: None },
};

fn claim(r: &Record<'_>) -> bool {
    let has = |needle: &[u8]| find(r.body, needle).is_some();
    r.shape == Shape::Json
        && (has(b"\"Workload\"") && has(b"\"RecordType\"") && has(b"\"Operation\"")
            || has(b"\"OfficeWorkload\"")
            || has(b"\"AuditData\"") && (has(b"\"RecordType\"") || has(b"\"Operation")))
        && !has(b".aadiam")
        && !has(b".AADIAM")
}

const N: usize = 40;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "AuditData",
        "CreationTime",
        "TimeGenerated",
        "Operation",
        "RecordType",
        "ResultStatus",
        "UserId",
        "ClientIP",
        "ActorIpAddress",
        "ClientIPAddress",
        "Workload",
        "OfficeWorkload",
        "ObjectId",
        "OfficeObjectId",
        "ErrorNumber",
        "LogonError",
        "ExtendedProperties",
        "DeviceProperties",
        "ApplicationId",
        "Id",
        "IntraSystemId",
        "ModifiedProperties",
        "Parameters",
        "MailboxOwnerUPN",
        "ClientInfoString",
        "Name",
        "Severity",
        "AlertId",
        "AlertEntityId",
        "EntityType",
        "Data",
        "Category",
        "UserAgent",
        "UserKey",
        "Client_IPAddress",
        "OperationProperties",
        "PolicyDetails",
        "Status",
        "SessionId",
        "AppAccessContext.AADSessionId",
    ])
});
/// Wazuh's integration puts the record under its own name.
static WITHIN: LazyLock<Paths<2>> = LazyLock::new(|| Paths::new(["office365", "data.office365"]));
static PAIR: LazyLock<Paths<4>> = LazyLock::new(|| Paths::new(["Name", "Value", "NewValue", "OldValue"]));

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    if v[3].is_missing()
        && v[0].is_missing()
        && let Ok(w) = WITHIN.pick(r.body)
        && let Some(inner) = w.iter().map(|w| w.nested()).find(|n| !n.is_empty())
        && let Ok(v) = PATHS.pick(inner)
    {
        return tell(r, &v, out);
    }
    match v[0] {
        Value::Missing | Value::Null => tell(r, &v, out),
        // Purview's CSV: the record is a text in a column.
        Value::Text(_) => {
            let inner = v[0].text();
            match PATHS.pick(&inner) {
                Ok(v) => tell(r, &v, out),
                Err(_) => Parsed::Broken(Why::Malformed("AuditData")),
            }
        }
        other => match PATHS.pick(other.nested()) {
            Ok(v) => tell(r, &v, out),
            Err(_) => Parsed::Broken(Why::Malformed("AuditData")),
        },
    }
}

fn first<'a>(v: &[Value<'a>; N], all: &[usize]) -> Value<'a> {
    all.iter()
        .filter_map(|n| v.get(*n).copied())
        .find(|x| !matches!(x.bytes(), b"" | b"<null>"))
        .unwrap_or_default()
}

/// A list that Sentinel and some shippers write as text.
fn list(value: Value<'_>) -> Cow<'_, [u8]> {
    match value {
        Value::Nested(inner) => Cow::Borrowed(inner),
        Value::Text(_) => value.text(),
        _ => Cow::Borrowed(b""),
    }
}

/// The value of a name in a list of `{"Name": …, "Value": …}`.
fn named(list: &[u8], name: &[u8]) -> Vec<u8> {
    for one in elements(list).take(48) {
        let Value::Nested(object) = one else { continue };
        let Ok(p) = PAIR.pick(object) else { continue };
        if p[0].is(name) {
            let value = if p[1].is_missing() { p[2] } else { p[1] };
            return value.text().into_owned();
        }
    }
    Vec::new()
}

fn tell(r: &Record<'_>, v: &[Value<'_>; N], out: &mut Emit<'_>) -> Parsed {
    let operation = v[3].text();
    let operation = operation.trim_ascii();
    let operation = operation.strip_suffix(b".").unwrap_or(operation);
    match operation {
        b"UserLoggedIn" | b"UserLoginFailed" => return sign_in(r, v, operation == b"UserLoggedIn", out),
        b"AlertTriggered" | b"AlertEntityGenerated" | b"AlertUpdated" => return alert(r, v, operation, out),
        b"DlpRuleMatch" | b"DLPRuleMatch" => return leak(r, v, out),
        b"" => return Parsed::Broken(Why::Missing("Operation")),
        _ => {}
    }
    let directory = v[10].is(b"AzureActiveDirectory") || v[11].is(b"AzureActiveDirectory");
    let (act, change) = if directory {
        match audit_meaning(operation, b"") {
            Some((Act::Posture, _)) => return Parsed::Irrelevant(Kind::OtherMessage),
            Some(found) => found,
            None => return Parsed::Irrelevant(Kind::Pending),
        }
    } else {
        match exchange(operation) {
            Some(found) => found,
            None => return Parsed::Irrelevant(Kind::RoutineUse),
        }
    };
    let modified = list(v[21]);
    let parameters = list(v[22]);
    let detail = match change {
        Change::GroupAdded | Change::GroupRemoved if directory => named(&modified, b"Group.DisplayName"),
        Change::RoleGranted | Change::RoleRemoved if directory => named(&modified, b"Role.DisplayName"),
        _ => rule(operation, &parameters, &list(v[35])),
    };
    let detail = if detail.is_empty() { operation } else { &detail };
    let turned_on = named(&parameters, b"UnifiedAuditLogIngestionEnabled") == b"True";
    let change = if change == Change::LoggingStopped && turned_on { Change::ConfigChanged } else { change };
    // Permission on a mailbox: whose it is stands in `Identity`, who got it in `User` or `Trustee`.
    let given =
        [&b"User"[..], b"Trustee", b"Member"].iter().map(|n| named(&parameters, n)).find(|t| !t.is_empty());
    let object = first(v, &[12, 13, 23]).text();
    let target = match (&given, change) {
        (Some(given), Change::RoleGranted | Change::GroupAdded) => &given[..],
        _ => &object,
    };
    let failed = matches!(v[5].bytes(), b"Failed" | b"Failure" | b"False" | b"PartiallySucceeded");
    out.event(act, if failed || act == Act::Mfa { Outcome::Failure } else { Outcome::Success })
        .at(utc(r, first(v, &[1, 2]).bytes()))
        .identity(v[19].bytes())
        .service(Service::Idp)
        .user(&user(v))
        .target(target)
        .source(first(v, &[7, 9, 34, 8]).bytes())
        .detail(detail)
        .change(change)
        .reason(if act == Act::Mfa { Reason::Fraud } else { Reason::None })
        .done()
}

fn user<'a>(v: &[Value<'a>; N]) -> Cow<'a, [u8]> {
    let user = first(v, &[6, 33]).text();
    // Guests of SharePoint.
    match find(&user, b"guest#") {
        Some(n) => Cow::Owned(user.get(n + 6..).unwrap_or_default().to_vec()),
        None => user,
    }
}

/// Changes of Exchange, compliance and the tenant that open a way in or hide one.
fn exchange(operation: &[u8]) -> Option<(Act, Change)> {
    Some(match operation {
        b"New-InboxRule"
        | b"Set-InboxRule"
        | b"Enable-InboxRule"
        | b"UpdateInboxRules"
        | b"Set-Mailbox"
        | b"New-TransportRule"
        | b"Set-TransportRule"
        | b"New-InboundConnector"
        | b"New-OutboundConnector"
        | b"Set-CASMailbox"
        | b"Set-CASMailboxPlan" => (Act::Config, Change::ConfigChanged),
        b"Add-MailboxPermission"
        | b"Add-RecipientPermission"
        | b"Add-MailboxFolderPermission"
        | b"AddFolderPermissions"
        | b"New-ManagementRoleAssignment"
        | b"SiteCollectionAdminAdded" => (Act::Account, Change::RoleGranted),
        b"Remove-MailboxPermission" | b"Remove-RecipientPermission" | b"Remove-ManagementRoleAssignment" => {
            (Act::Account, Change::RoleRemoved)
        }
        b"Add-RoleGroupMember" | b"AddedToGroup" => (Act::Account, Change::GroupAdded),
        b"Remove-RoleGroupMember" => (Act::Account, Change::GroupRemoved),
        b"Set-AdminAuditLogConfig"
        | b"Set-MailboxAuditBypassAssociation"
        | b"Remove-UnifiedAuditLogRetentionPolicy" => (Act::Config, Change::LoggingStopped),
        b"Set-OrganizationConfig"
        | b"Set-AuthenticationPolicy"
        | b"New-AuthenticationPolicy"
        | b"Remove-AuthenticationPolicy"
        | b"Set-ConditionalAccessPolicy"
        | b"Disable-SafeLinksRule"
        | b"Disable-AntiPhishRule"
        | b"Remove-MalwareFilterRule"
        | b"SharingPolicyChanged" => (Act::Config, Change::PolicyChanged),
        b"New-Mailbox" => (Act::Account, Change::AccountCreated),
        _ => return None,
    })
}

/// A rule's verbs are what makes it suspicious: where to it forwards, and what it deletes.
fn rule(operation: &[u8], parameters: &[u8], properties: &[u8]) -> Vec<u8> {
    const TELLING: [&[u8]; 11] = [
        b"ForwardTo",
        b"ForwardAsAttachmentTo",
        b"RedirectTo",
        b"DeleteMessage",
        b"MoveToFolder",
        b"ForwardingSmtpAddress",
        b"ForwardingAddress",
        b"AccessRights",
        b"UnifiedAuditLogIngestionEnabled",
        b"Role",
        b"RuleActions",
    ];
    let mut text = operation.to_vec();
    for list in [parameters, properties] {
        for one in elements(list).take(48) {
            let Value::Nested(object) = one else { continue };
            let Ok(p) = PAIR.pick(object) else { continue };
            if TELLING.contains(&p[0].bytes()) && !matches!(p[1].bytes(), b"" | b"False") {
                text.push(b' ');
                text.extend_from_slice(p[0].bytes());
                text.push(b'=');
                text.extend_from_slice(&p[1].text());
            }
        }
    }
    text
}

fn sign_in(r: &Record<'_>, v: &[Value<'_>; N], ok: bool, out: &mut Emit<'_>) -> Parsed {
    let extended = list(v[16]);
    let request = named(&extended, b"RequestType");
    let code = match v[14].bytes() {
        b"" if ok => 0,
        b"" => match v[15].bytes() {
            b"InvalidUserNameOrPassword" | b"InvalidPasswordExpiredPassword" => 50_126,
            b"IdsLocked" | b"AccountLocked" => 50_053,
            b"UserAccountNotFound" => 50_034,
            b"UserDisabled" => 50_057,
            b"UserStrongAuthClientAuthNRequired" | b"UserStrongAuthClientAuthNRequiredInterrupt" => 50_076,
            b"BlockedByConditionalAccess" => 53_003,
            b"UserStrongAuthEnrollmentRequired" | b"UserStrongAuthEnrollmentRequiredInterrupt" => 50_079,
            b"DeviceNotCompliant" | b"DeviceNotDomainJoined" => 53_000,
            b"PasswordResetRegistrationRequiredInterrupt"
            | b"KmsiInterrupt"
            | b"SessionMissingMsaOAuth2RefreshToken" => 50_140,
            _ => u64::MAX,
        },
        digits => number(digits),
    };
    let (outcome, reason) = if ok && code == 0 {
        (Outcome::Success, Reason::None)
    } else {
        sign_in_meaning(code, &[v[15].bytes()], b"")
    };
    let quiet = find(&request, b"OAuth2:Token").is_some();
    let devices = list(v[17]);
    let device = [&b"DisplayName"[..], b"Id"].iter().map(|n| named(&devices, n)).find(|t| !t.is_empty());
    let session = named(&devices, b"SessionId");
    let managed =
        named(&devices, b"IsCompliantAndManaged") == b"True" || named(&devices, b"IsCompliant") == b"True";
    let client = named(&extended, b"UserAgent");
    let legacy = find(&client, b"CBAIn").is_some() || find(&client, b"BAV2ROPC").is_some();
    let act = if quiet && outcome == Outcome::Failure { Act::Posture } else { Act::Auth };
    out.event(act, outcome)
        .at(utc(r, first(v, &[1, 2]).bytes()))
        // The same number as in Entra's own sign-in log.
        .identity(first(v, &[20, 19]).bytes())
        .service(Service::Idp)
        .user(&user(v))
        .source(first(v, &[7, 8, 34, 9]).bytes())
        .client(if client.is_empty() { v[32].bytes() } else { &client })
        .device(&device.unwrap_or_default())
        .sid(&session)
        .group(v[18].bytes())
        .detail(&request)
        .method(if legacy { Method::Legacy } else { Method::Unknown })
        .reason(reason)
        .flag_if(quiet, Flags::NON_INTERACTIVE)
        .flag_if(managed, Flags::MANAGED_DEVICE)
        .done()
}

static ABOUT: LazyLock<Paths<5>> = LazyLock::new(|| Paths::new(["f3u", "trc", "suid", "sip", "lon"]));

fn alert(r: &Record<'_>, v: &[Value<'_>; N], operation: &[u8], out: &mut Emit<'_>) -> Parsed {
    let data = list(v[30]);
    let about = ABOUT.pick(&data).unwrap_or_default();
    let entity = if v[29].is(b"User") { first(v, &[28, 12]) } else { Value::Missing };
    let person = [about[0], about[1], about[2], entity]
        .into_iter()
        .find(|x| find(x.bytes(), b"@").is_some())
        .unwrap_or_default();
    let severity = match v[26].bytes() {
        b"High" => 4,
        b"Medium" => 3,
        b"Low" => 2,
        _ => 1,
    };
    let updated = operation == b"AlertUpdated";
    // One alert is triggered once and then written once for each thing it is about.
    out.event(if updated { Act::Posture } else { Act::Alert }, Outcome::Unknown)
        .at(utc(r, first(v, &[1, 2]).bytes()))
        .identity(v[19].bytes())
        .service(Service::Idp)
        .user(&person.text())
        .target(&if v[29].is(b"User") { Cow::Borrowed(&b""[..]) } else { v[28].text() })
        .detail(&first(v, &[25, 31]).text())
        .severity(severity)
        .flag_if(operation != b"AlertTriggered", Flags::REPEATS)
        .done()
}

/// A rule against the loss of data was matched.
fn leak(r: &Record<'_>, v: &[Value<'_>; N], out: &mut Emit<'_>) -> Parsed {
    static POLICY: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["PolicyName"]));
    let policy = list(v[36]);
    let name = match elements(&policy).next() {
        Some(Value::Nested(object)) => {
            POLICY.pick(object).map(|[n]| n.text().into_owned()).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    out.event(Act::Alert, Outcome::Unknown)
        .at(utc(r, first(v, &[1, 2]).bytes()))
        .identity(v[19].bytes())
        .service(Service::Idp)
        .user(&user(v))
        .source(first(v, &[7, 9]).bytes())
        .target(&first(v, &[12]).text())
        .detail(if name.is_empty() { b"DlpRuleMatch" } else { &name })
        .severity(2)
        .done()
}
