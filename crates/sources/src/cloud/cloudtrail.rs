//! AWS CloudTrail: console logins, API calls, changes of identities and of what is exposed.
//!
//! Read from: CloudTrail record contents, IAM and sign-in event references. Traps: `MFAUsed` is No for SAML, SSO and
//! assumed roles, where another system asked; the user name is HIDDEN_DUE_TO_SECURITY_REASONS where the user does not
//! exist; `sourceIPAddress` may be the name of a service; `mfaAuthenticated` is text.

use crate::decode::clock::{self, Stamp};
use crate::decode::json::{Paths, Value};
use crate::emit::Emit;
use crate::record::{Record, Shape};
use crate::source::{Field, Kind, Parsed, Reader, Row, Source, Why};
use portreeve_model::Ip;
use portreeve_model::event::{Act, Change, Flags, Method, Mfa, Outcome, Reason, Service};
use portreeve_model::time::Certainty;
use std::sync::LazyLock;

pub static SOURCE: Source = Source {
    name: "cloudtrail",
    title: "AWS CloudTrail",
    row: Row::Cloud,
    gives: &[Act::Auth, Act::Api, Act::Account, Act::Config],
    lacks: &[Field::TunnelIp, Field::Device, Field::SessionEnd],
    traps: &["mfa_used_no_under_saml", "hidden_user", "service_as_source"],
    manual: "AWS CloudTrail record contents; AWS Management Console sign-in events",
    enable: "a trail for all regions with management events; sign-in events are in us-east-1 and the regional endpoints",
    general: false,
    marks: &["\"awsRegion\""],
    reader: Reader::Code {
        claim: |r| {
            r.shape == Shape::Json
                && crate::decode::find::find(&r.body[..r.body.len().min(4_000)], b"\"eventSource\"").is_some()
                && crate::decode::find::find(r.body, b"\"eventName\"").is_some()
                && crate::decode::find::find(r.body, b"\"awsRegion\"").is_some()
        },
        parse,
        join: None,
    },
};

const N: usize = 30;
static PATHS: LazyLock<Paths<N>> = LazyLock::new(|| {
    Paths::new([
        "eventTime",
        "eventName",
        "eventSource",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "readOnly",
        "recipientAccountId",
        "awsRegion",
        "userIdentity.type",
        "userIdentity.userName",
        "userIdentity.arn",
        "userIdentity.accessKeyId",
        "userIdentity.principalId",
        "userIdentity.sessionContext.sessionIssuer.userName",
        "userIdentity.sessionContext.attributes.mfaAuthenticated",
        "userIdentity.invokedBy",
        "additionalEventData.MFAUsed",
        "additionalEventData.SamlProviderArn",
        "responseElements.ConsoleLogin",
        "requestParameters.userName",
        "requestParameters.roleName",
        "requestParameters.policyArn",
        "requestParameters.groupName",
        "requestParameters",
        "requestParameters.accessKeyId",
        "eventType",
        "responseElements.accessKey.accessKeyId",
        "eventCategory",
    ])
});

fn parse(r: &Record<'_>, out: &mut Emit<'_>) -> Parsed {
    let Ok(v) = PATHS.pick(r.body) else { return Parsed::Broken(Why::Malformed("JSON")) };
    let at = match clock::iso(v[0].bytes()) {
        Some((Stamp::Absolute(t), _)) => Some((t, Certainty::Exact)),
        _ => r.header_time(),
    };
    let (name, kind) = (v[1].bytes(), v[10].bytes());
    if v[27].is(b"AwsCloudTrailInsight") || v[29].is(b"Insight") {
        return Parsed::Irrelevant(Kind::OtherMessage);
    }
    let source = v[3].bytes();
    if matches!(kind, b"AWSService") || !v[17].is_missing() && Ip::parse(source).is_none() {
        return Parsed::Irrelevant(Kind::Machine);
    }
    let user = user(&v);
    let failed = !v[5].bytes().is_empty();
    let method = match v[13].bytes() {
        k if k.starts_with(b"AKIA") => Method::AccessKey,
        k if k.starts_with(b"ASIA") => Method::AssumedRole,
        _ => Method::Unknown,
    };
    let root = kind == b"Root";
    if name == b"ConsoleLogin" {
        return console(&v, at, &user, out);
    }
    let change = change_of(name, &v);
    let act = match change {
        Change::None => Act::Api,
        Change::Exposed | Change::LoggingStopped | Change::PolicyChanged => Act::Config,
        Change::CredentialAccess => Act::Api,
        _ => Act::Account,
    };
    let shell = matches!(
        name,
        b"StartSession"
            | b"SendCommand"
            | b"SendSSHPublicKey"
            | b"SendSerialConsoleSSHPublicKey"
            | b"ExecuteCommand"
            | b"ResumeSession"
    );
    let target = [v[21], v[22], v[24], v[26]].into_iter().find(|x| !x.is_missing()).unwrap_or_default();
    let right = if v[23].is_missing() { Value::Text(name) } else { v[23] };
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    let reason =
        if v[5].bytes().starts_with(b"AccessDenied") || v[5].bytes().ends_with(b"UnauthorizedOperation") {
            Reason::NotAllowed
        } else if failed {
            Reason::Other
        } else {
            Reason::None
        };
    let mfa = match v[16].truth() {
        Some(true) => Mfa::Yes,
        // A long-term key never passes one; a role's session was asked for by whoever assumed it.
        Some(false) if kind == b"IAMUser" || root => Mfa::No,
        Some(false) => Mfa::Delegated,
        None => Mfa::Unknown,
    };
    out.event(act, outcome)
        .at(at)
        .service(Service::CloudApi)
        .user(&user)
        .source(source)
        .sid(v[13].bytes())
        .client(&v[4].text())
        .group(v[8].bytes())
        .detail(if act == Act::Account { right.bytes() } else { name })
        .target(&target.text())
        .change(change)
        .method(method)
        .mfa(mfa)
        .reason(reason)
        .flag_if(root, Flags::PRIVILEGED)
        .flag_if(shell, Flags::REMOTE_SHELL)
        .done()
}

/// IAM user, root, or the session name of a role.
fn user<'a>(v: &[Value<'a>; N]) -> Vec<u8> {
    let kind = v[10].bytes();
    if kind == b"Root" {
        return b"root".to_vec();
    }
    if !v[11].is_missing() && !matches!(kind, b"AssumedRole") {
        return v[11].text().into_owned();
    }
    // `arn:aws:sts::1:assumed-role/Role/session`: the session name is the person where a person assumed it.
    let arn = v[12].bytes();
    if let Some(session) = arn.rsplit(|b| *b == b'/').next().filter(|_| arn.contains(&b'/')) {
        let machine = session.starts_with(b"i-")
            || session.iter().all(|b| b.is_ascii_digit())
            || session.starts_with(b"botocore-session")
            || session.starts_with(b"aws-sdk")
            || session.starts_with(b"GitHubActions");
        if !machine {
            return session.to_vec();
        }
        return v[15].text().into_owned();
    }
    v[14].text().into_owned()
}

fn console(
    v: &[Value<'_>; N],
    at: Option<(portreeve_model::EventTime, Certainty)>,
    user: &[u8],
    out: &mut Emit<'_>,
) -> Parsed {
    let kind = v[10].bytes();
    let ok = v[20].is(b"Success");
    let federated = !v[19].is_missing()
        || kind == b"AssumedRole"
        || crate::decode::find::find(v[12].bytes(), b"AWSReservedSSO_").is_some();
    let mfa = match (v[18].bytes().eq_ignore_ascii_case(b"yes"), federated) {
        (true, _) => Mfa::Yes,
        (false, true) => Mfa::Delegated,
        (false, false) => Mfa::No,
    };
    let hidden = user == b"HIDDEN_DUE_TO_SECURITY_REASONS"
        || crate::decode::find::find(v[6].bytes(), b"No username found").is_some();
    let reason = match (ok, hidden) {
        (true, _) => Reason::None,
        (false, true) => Reason::NoUser,
        (false, false) => Reason::BadPassword,
    };
    out.event(Act::Auth, if ok { Outcome::Success } else { Outcome::Failure })
        .at(at)
        .service(Service::CloudConsole)
        .user(user)
        .source(v[3].bytes())
        .client(&v[4].text())
        .group(v[8].bytes())
        .detail(b"ConsoleLogin")
        .mfa(mfa)
        .method(if federated { Method::Saml } else { Method::Password })
        .reason(reason)
        .flag_if(kind == b"Root", Flags::PRIVILEGED)
        .done()
}

fn change_of(name: &[u8], v: &[Value<'_>; N]) -> Change {
    match name {
        b"CreateUser" => Change::AccountCreated,
        b"DeleteUser" => Change::AccountDeleted,
        b"CreateAccessKey"
        | b"CreateLoginProfile"
        | b"UploadSSHPublicKey"
        | b"CreateServiceSpecificCredential"
        | b"ImportKeyPair" => Change::KeyCreated,
        b"UpdateLoginProfile" => Change::PasswordReset,
        b"AddUserToGroup" => Change::GroupAdded,
        b"AttachUserPolicy"
        | b"PutUserPolicy"
        | b"AttachRolePolicy"
        | b"PutRolePolicy"
        | b"AttachGroupPolicy"
        | b"PutGroupPolicy"
        | b"CreatePolicyVersion"
        | b"SetDefaultPolicyVersion" => Change::RoleGranted,
        b"UpdateAssumeRolePolicy"
        | b"CreateSAMLProvider"
        | b"UpdateSAMLProvider"
        | b"CreateOpenIDConnectProvider"
        | b"UpdateAccountPasswordPolicy" => Change::PolicyChanged,
        b"DeactivateMFADevice" | b"DeleteVirtualMFADevice" => Change::FactorRemoved,
        b"EnableMFADevice" => Change::FactorEnrolled,
        b"StopLogging"
        | b"DeleteTrail"
        | b"PutEventSelectors"
        | b"DeleteFlowLogs"
        | b"DisableGuardDuty"
        | b"DeleteDetector"
        | b"StopConfigurationRecorder" => Change::LoggingStopped,
        b"AuthorizeSecurityGroupIngress" | b"CreateNetworkAclEntry" => {
            let open = crate::decode::find::find(v[25].nested(), b"0.0.0.0/0")
                .or_else(|| crate::decode::find::find(v[25].nested(), b"\"::/0\""))
                .is_some();
            if open { Change::Exposed } else { Change::None }
        }
        b"GetSecretValue" | b"GetPasswordData" | b"BatchGetSecretValue" => Change::CredentialAccess,
        _ => Change::None,
    }
}
