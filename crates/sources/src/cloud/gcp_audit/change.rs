//! Which calls change a right, a key or what is exposed, and which open a shell.

use super::{Call, objects};
use crate::cloud::member;
use crate::decode::find::find;
use crate::decode::json::Paths;
use portreeve_model::event::Change;
use std::sync::LazyLock;

/// What a call changed.
#[derive(Default)]
pub(super) struct Changed<'a> {
    pub(super) kind: Change,
    pub(super) target: &'a [u8],
    pub(super) detail: &'a [u8],
    pub(super) shell: bool,
    /// Opened to everybody.
    pub(super) port: &'a [u8],
}

fn kind<'a>(kind: Change) -> Changed<'a> {
    Changed { kind, ..Changed::default() }
}

pub(super) fn of<'a>(call: &Call<'_>, request: &'a [u8], metadata: &'a [u8], data: &'a [u8]) -> Changed<'a> {
    let has = |needle: &[u8]| find(request, needle).is_some();
    let method = call.short_method();
    match (call.service, method) {
        (_, b"SetIamPolicy" | b"setIamPolicy" | b"setIamPermissions") => rights(request, data),
        (b"iam.googleapis.com", b"CreateServiceAccountKey" | b"UploadServiceAccountKey" | b"CreateKey") => {
            Changed {
                target: last(member(request, b"\"name\"").unwrap_or_default()),
                ..kind(Change::KeyCreated)
            }
        }
        (b"apikeys.googleapis.com", b"CreateKey") | (b"storage.googleapis.com", b"create")
            if method == b"CreateKey" || find(call.method, b"hmacKeys").is_some() =>
        {
            kind(Change::KeyCreated)
        }
        (b"iam.googleapis.com", b"CreateServiceAccount") => Changed {
            target: member(request, b"\"account_id\"")
                .or_else(|| member(request, b"\"accountId\""))
                .unwrap_or_default(),
            ..kind(Change::AccountCreated)
        },
        (b"iam.googleapis.com", b"DeleteServiceAccount") => kind(Change::AccountDeleted),
        (b"iam.googleapis.com", b"DisableServiceAccount") => kind(Change::AccountDisabled),
        (b"iam.googleapis.com", b"EnableServiceAccount") => kind(Change::AccountEnabled),
        (
            b"iam.googleapis.com",
            b"CreateRole"
            | b"UpdateRole"
            | b"CreateWorkloadIdentityPool"
            | b"CreateWorkloadIdentityPoolProvider"
            | b"UpdateWorkloadIdentityPoolProvider"
            | b"CreateWorkforcePoolProvider"
            | b"UpdateWorkforcePoolProvider",
        ) => kind(Change::PolicyChanged),
        (b"secretmanager.googleapis.com", b"AccessSecretVersion") => kind(Change::CredentialAccess),
        (
            b"logging.googleapis.com",
            b"DeleteSink" | b"DeleteBucket" | b"DeleteLog" | b"CreateExclusion" | b"UpdateExclusion",
        ) => kind(Change::LoggingStopped),
        (b"logging.googleapis.com", b"UpdateSink")
            if crate::cloud::says(request, b"\"disabled\"", b"true") || has(b"\"exclusions\"") =>
        {
            kind(Change::LoggingStopped)
        }
        (b"cloudshell.googleapis.com", b"StartEnvironment" | b"AuthorizeEnvironment" | b"AddPublicKey") => {
            Changed { shell: true, ..Changed::default() }
        }
        (b"ssh-serialport.googleapis.com", b"connect") => Changed { shell: true, ..Changed::default() },
        (b"admin.googleapis.com", _) => directory(method, metadata),
        (b"compute.googleapis.com", _) => compute(call.method, request, metadata),
        (b"container.googleapis.com", b"UpdateCluster" | b"CreateCluster") if has(b"0.0.0.0/0") => {
            kind(Change::Exposed)
        }
        _ => Changed::default(),
    }
}

/// What stands behind the last slash.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

fn compute<'a>(method: &[u8], request: &'a [u8], metadata: &'a [u8]) -> Changed<'a> {
    let in_any = |needle: &[u8]| find(request, needle).or_else(|| find(metadata, needle)).is_some();
    let ends = |tail: &[u8]| method.ends_with(tail);
    if ends(b".setMetadata") || ends(b".setCommonInstanceMetadata") {
        return if in_any(b"\"ssh-keys\"") || in_any(b"\"sshKeys\"") {
            Changed { detail: b"ssh-keys", ..kind(Change::KeyCreated) }
        } else if in_any(b"\"windows-keys\"") {
            Changed { detail: b"windows-keys", ..kind(Change::PasswordReset) }
        } else if in_any(b"\"serial-port-enable\"") {
            Changed { detail: b"serial-port-enable", ..kind(Change::Exposed) }
        } else if in_any(b"startup-script") {
            // Runs at the next start, as root.
            Changed { shell: true, ..Changed::default() }
        } else {
            Changed::default()
        };
    }
    let rule = [&b".firewalls.insert"[..], b".firewalls.patch", b".firewalls.update"].iter().any(|t| ends(t));
    let open = find(request, b"\"0.0.0.0/0\"").or_else(|| find(request, b"\"::/0\"")).is_some();
    let inwards = find(request, b"\"EGRESS\"").is_none() && find(request, b"\"denieds\"").is_none();
    if rule && open && inwards {
        return Changed {
            target: member(request, b"\"name\"").unwrap_or_default(),
            port: member(request, b"\"ports\"").unwrap_or_default(),
            ..kind(Change::Exposed)
        };
    }
    if ends(b".addAccessConfig") {
        return kind(Change::Exposed);
    }
    Changed::default()
}

static DELTA: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["action", "role", "member"]));
static DELTAS: LazyLock<Paths<2>> =
    LazyLock::new(|| Paths::new(["policyDelta.bindingDeltas", "policyDelta.auditConfigDeltas"]));

/// A policy is always written whole; what changed stands beside it.
fn rights<'a>(request: &'a [u8], data: &'a [u8]) -> Changed<'a> {
    let everyone = |member: &[u8]| matches!(member, b"allUsers" | b"allAuthenticatedUsers");
    let Ok(v) = DELTAS.pick(data) else {
        // Services that write no difference: only what is open to all can be told.
        let open =
            find(request, b"\"allUsers\"").or_else(|| find(request, b"\"allAuthenticatedUsers\"")).is_some();
        return kind(if open { Change::Exposed } else { Change::PolicyChanged });
    };
    let mut found = Changed::default();
    for delta in objects(v[0].nested()) {
        let Ok(d) = DELTA.pick(delta) else { continue };
        let member = d[2].bytes();
        let plain = member.split(|b| *b == b':').next_back().unwrap_or_default();
        let now = match d[0].bytes() {
            b"ADD" if everyone(member) => Change::Exposed,
            b"ADD" => Change::RoleGranted,
            _ => Change::RoleRemoved,
        };
        // One right given says more than any taken.
        let better = match (found.kind, now) {
            (Change::None, _) => true,
            (Change::RoleRemoved, _) => now != Change::RoleRemoved,
            (Change::RoleGranted, Change::Exposed) => true,
            _ => false,
        };
        if better {
            found = Changed { kind: now, target: plain, detail: d[1].bytes(), ..Changed::default() };
        }
    }
    if found.kind != Change::None {
        return found;
    }
    let silenced = objects(v[1].nested()).any(|d| find(d, b"\"REMOVE\"").is_some());
    kind(if silenced { Change::LoggingStopped } else { Change::PolicyChanged })
}

static EVENT: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["event"]));

/// Changes by an administrator of the organisation's users: the parameters name whom.
fn directory<'a>(method: &[u8], metadata: &'a [u8]) -> Changed<'a> {
    let change = match method {
        b"createUser" => Change::AccountCreated,
        b"deleteUser" => Change::AccountDeleted,
        b"suspendUser" => Change::AccountDisabled,
        b"unsuspendUser" => Change::AccountEnabled,
        b"changePassword" => Change::PasswordReset,
        b"addGroupMember" => Change::GroupAdded,
        b"removeGroupMember" => Change::GroupRemoved,
        b"assignRole" | b"grantAdminPrivilege" | b"grantDelegatedAdminPrivileges" => Change::RoleGranted,
        b"unassignRole" | b"revokeAdminPrivilege" => Change::RoleRemoved,
        b"turnOff2StepVerification" | b"unenrollUserFrom2sv" | b"unenrollUserFromTitanium" => {
            Change::FactorRemoved
        }
        b"generate2svScratchCodes" => Change::FactorReset,
        b"enforceStrongAuthentication"
        | b"allowStrongAuthentication"
        | b"changeTwoStepVerificationEnrollmentPeriodDuration" => Change::PolicyChanged,
        b"authorizeApiClientAccess" => Change::ConsentGranted,
        _ => return Changed::default(),
    };
    let list = EVENT.pick(metadata).map(|v| v[0].nested()).unwrap_or_default();
    let parameter = |wanted: &[u8]| super::login::parameter(list, wanted).bytes();
    let group = parameter(b"GROUP_EMAIL");
    let role = parameter(b"ROLE_NAME");
    Changed {
        kind: change,
        target: parameter(b"USER_EMAIL"),
        detail: if group.is_empty() { role } else { group },
        ..Changed::default()
    }
}
