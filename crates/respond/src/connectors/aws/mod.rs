//! AWS IAM: keys, users and the sessions of roles.
//!
//! A key that is set inactive ends nothing that began with it: sessions of roles live on for up to 12 hours, sessions
//! of a user (`GetSessionToken`) for up to 36. So the key, the user and the role are three acts. Nothing at AWS takes
//! a session back; a policy denies it everything from a time on, and hits all who use the role.

mod policy;

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Proof, Seen, Setting, Settings,
};
use crate::encode::xml_read::Node;
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::aws::{Aws, Failed, IAM, Keys, Place, STS, get};
use crate::transport::http::unpercent;
use crate::value::{KeyId, UserName};
use policy::{DENY_ALL, Found, REVOKE_OLDER, deny_all, revoke_older, sid};
use serde_json::{Value, json};
use std::time::Duration;

/// IAM is eventually consistent.
const CONSISTENT: Duration = Duration::from_secs(60);

pub static CONNECTOR: Connector = Connector {
    name: "aws",
    product: "Amazon Web Services: IAM",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "the access key is Inactive: requests signed with it are refused",
            leaves_open: "sessions that were issued with the key before: of roles for up to 12 hours, of the user \
                          (GetSessionToken) for up to 36; the user's other keys and console password. A key of \
                          temporary credentials (ASIA…) has no status and is refused; revoke the sessions of its role",
            undo: "the key is Active again, if it was and still is ours to set",
            verified_by: "ListAccessKeys of its owner: the status of exactly this key",
            within: CONSISTENT,
            ..Can::at_once(Act::RevokeKey, &[TargetKind::Key])
        },
        Can {
            effect: "an inline policy `PortreeveDenyAll` on the user denies every action: to all keys, the console \
                     and sessions of GetSessionToken",
            leaves_open: "sessions of roles that the user assumed before; resources that others may reach without \
                          IAM (presigned URLs of other identities, public buckets); root cannot be restrained",
            undo: "the policy of this step is deleted; one that somebody changed is left",
            verified_by: "GetUserPolicy: the policy is there, and it is exactly the denial of everything",
            within: CONSISTENT,
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "an inline policy `PortreeveRevokeOlderSessions` on the role denies every action to sessions \
                     that began before now; AWS takes up to some minutes to enforce it everywhere",
            leaves_open: "whoever may still assume the role gets a new session; so the way there is shut first. The \
                          time is this machine's: a clock that is behind leaves the newest sessions. \
                          Service-linked roles and roles of Identity Center take no policy and are refused",
            undo: "none: the sessions stay denied. The policy may be deleted once the longest session is over (12 hours)",
            verified_by: "GetRolePolicy: the policy is there with its time, and it is exactly our denial",
            within: CONSISTENT,
            ..Can::at_once(Act::RevokeTokens, &[TargetKind::Role])
        },
        Can {
            effect: "the user's console password (login profile) is deleted: no sign-in to the console",
            leaves_open: "access keys; console sessions that are open (deny the account for those)",
            undo: "none: AWS does not give the password out; a new one is set by CreateLoginProfile",
            verified_by: "GetLoginProfile: there is none",
            within: CONSISTENT,
            ..Can::at_once(Act::ResetPassword, &[TargetKind::Account])
        },
    ],
    needs: "iam: GetUser, ListAccessKeys, GetAccessKeyLastUsed, UpdateAccessKey, GetUserPolicy, \
            ListAttachedUserPolicies, PutUserPolicy, DeleteUserPolicy, GetLoginProfile, DeleteLoginProfile, GetRole, \
            GetRolePolicy, PutRolePolicy, ListInstanceProfilesForRole; sts: GetCallerIdentity. The connector's own \
            user or role belongs outside of what they may change",
    settings: &SETTINGS,
    source: "IAM User Guide, id_roles_use_revoke-sessions and id_credentials_temp_control-access; IAM API reference \
             2010-05-08. Tested against moto with authorization on, which enforces the denial of a user and, \
             without looking at the date, that of a role; it goes on serving an inactive key, so for keys only the \
             status is shown",
    open,
};

/// What the connectors of AWS share.
pub(super) static SETTINGS: [Setting; 4] = [
    Setting { name: "region", required: true, says: "`eu-central-1`; IAM takes from it only the partition" },
    Setting { name: "endpoint", required: false, says: "a stand-in on 127.0.0.1, in place of AWS's hosts" },
    Setting { name: "ca", required: false, says: "PEM file of an authority, in place of the public ones" },
    Setting { name: "timeout", required: false, says: "seconds until an answer is given up (15)" },
];

/// A client for the credential of an act.
pub(super) struct Clients {
    pub(super) settings: Settings,
    pub(super) place: Place,
    pub(super) service: crate::transport::aws::Service,
}

impl Clients {
    pub(super) fn of(&self, act: Act) -> Result<Aws, Fault> {
        Aws::open(&self.place, self.service, Keys::read(&self.settings.credential(act)?)?)
    }
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let place: Place = settings.fields()?;
    place.check(IAM)?;
    Ok(Box::new(Iam { clients: Clients { settings: settings.clone(), place, service: IAM } }))
}

struct Iam {
    clients: Clients,
}

/// An order, as IAM sees it.
enum Task<'a> {
    Key { owner: Option<&'a UserName>, id: &'a KeyId },
    DenyUser(&'a UserName),
    RevokeRole(&'a UserName),
    DropPassword(&'a UserName),
}

fn task(order: &Order) -> Result<Task<'_>, Fault> {
    match (order.act, &order.target) {
        (Act::RevokeKey, Target::Key { owner, id }) => Ok(Task::Key { owner: owner.as_ref(), id }),
        (Act::DisableAccount, Target::Account { name }) => Ok(Task::DenyUser(name)),
        (Act::RevokeTokens, Target::Role { name }) => Ok(Task::RevokeRole(name)),
        (Act::ResetPassword, Target::Account { name }) => Ok(Task::DropPassword(name)),
        (act, other) => Err(Fault::Unsupported(format!("aws cannot {} {other}", act.id()))),
    }
}

/// `None` where IAM says that there is no such thing.
fn there(answer: Result<Node, Failed>) -> Result<Option<Node>, Fault> {
    match answer {
        Ok(node) => Ok(Some(node)),
        Err(failed) if failed.is("NoSuchEntity") => Ok(None),
        Err(failed) => Err(failed.into()),
    }
}

fn garbled(action: &str) -> Fault {
    Fault::Garbled(format!("{action}: the answer lacks what it is asked for"))
}

impl Iam {
    fn root_is_refused(name: &UserName) -> Result<(), Fault> {
        if matches!(name.raw(), "root" | "<root_account>" | "Root") {
            return Err(Fault::Unsupported(
                "the root user takes no policy of its account and its keys are not IAM's; change its password and \
                 delete its keys by hand, or deny it by a service control policy"
                    .into(),
            ));
        }
        Ok(())
    }

    /// The user of exactly this name: its ARN.
    fn user(aws: &Aws, name: &UserName) -> Result<String, Fault> {
        Self::root_is_refused(name)?;
        let answer = aws.ask("GetUser", &[("UserName", name.raw())])?;
        let user = answer.at("GetUserResult/User").ok_or_else(|| garbled("GetUser"))?;
        if get(user, "UserName") != Some(name.raw()) {
            return Err(Fault::NotFound(format!("IAM has no user written exactly `{name}`")));
        }
        get(user, "Arn").map(str::to_owned).ok_or_else(|| garbled("GetUser"))
    }

    fn policy(
        aws: &Aws,
        whose: (&'static str, &'static str),
        name: &UserName,
        policy: &str,
    ) -> Result<Option<Found>, Fault> {
        let (action, parameter) = whose;
        let answer = there(aws.ask(action, &[(parameter, name.raw()), ("PolicyName", policy)]))?;
        let document = format!("{action}Result/PolicyDocument");
        answer.map(|a| get(&a, &document).map(Found::read).ok_or_else(|| garbled(action))).transpose()
    }

    fn user_policy(aws: &Aws, name: &UserName) -> Result<Option<Found>, Fault> {
        Self::policy(aws, ("GetUserPolicy", "UserName"), name, DENY_ALL)
    }

    fn role_policy(aws: &Aws, name: &UserName) -> Result<Option<Found>, Fault> {
        Self::policy(aws, ("GetRolePolicy", "RoleName"), name, REVOKE_OLDER)
    }

    fn has_password(aws: &Aws, name: &UserName) -> Result<bool, Fault> {
        Ok(there(aws.ask("GetLoginProfile", &[("UserName", name.raw())]))?.is_some())
    }

    /// Owner and status of a key.
    fn key(aws: &Aws, owner: Option<&UserName>, id: &KeyId) -> Result<(String, String), Fault> {
        let temporary = id.raw().starts_with("ASIA");
        if temporary {
            return Err(Fault::Unsupported(format!(
                "{id} belongs to temporary credentials, which have no status; revoke the sessions of their role, or \
                 disable the user that asked for them"
            )));
        }
        let owner = match owner {
            Some(owner) => {
                Self::root_is_refused(owner)?;
                owner.raw().to_owned()
            }
            None => {
                let answer = aws.ask("GetAccessKeyLastUsed", &[("AccessKeyId", id.raw())])?;
                let name = get(&answer, "GetAccessKeyLastUsedResult/UserName")
                    .ok_or_else(|| garbled("GetAccessKeyLastUsed"))?;
                Self::root_is_refused(&UserName::new(name)?)?;
                name.to_owned()
            }
        };
        let keys = aws.members("ListAccessKeys", &[("UserName", &owner)], "AccessKeyMetadata")?;
        let key = keys.iter().find(|k| get(k, "AccessKeyId") == Some(id.raw()));
        match key.and_then(|k| get(k, "Status")) {
            Some(status) => Ok((owner, status.to_owned())),
            None => Err(Fault::NotFound(format!("the user has no key {id}"))),
        }
    }

    fn key_state(&self, order: &Order) -> Result<(String, String), Fault> {
        let aws = self.clients.of(order.act)?;
        match task(order)? {
            Task::Key { owner, id } => Self::key(&aws, owner, id),
            _ => Err(Fault::Unsupported(order.target.to_string())),
        }
    }

    fn read_user(aws: &Aws, name: &UserName, mark: &str) -> Result<Seen, Fault> {
        let arn = Self::user(aws, name)?;
        let found = Self::user_policy(aws, name)?;
        if found == Some(Found::Other) {
            return Err(Fault::Refused(format!(
                "a policy {DENY_ALL} that is not ours stands on {name}; it would be overwritten"
            )));
        }
        let attached =
            aws.members("ListAttachedUserPolicies", &[("UserName", name.raw())], "AttachedPolicies")?;
        let denied_by_aws = attached
            .iter()
            .any(|p| get(p, "PolicyArn").is_some_and(|a| a.ends_with(":iam::aws:policy/AWSDenyAll")));
        let ours = found.as_ref().is_some_and(|f| f.is_of(mark));
        let keys = aws.members("ListAccessKeys", &[("UserName", name.raw())], "AccessKeyMetadata")?;
        let active = keys.iter().filter(|k| get(k, "Status") == Some("Active")).count();
        let password =
            if Self::has_password(aws, name)? { "a console password" } else { "no console password" };
        let state = match (&found, ours, denied_by_aws) {
            (_, true, _) => "denied everything by this step",
            (Some(_), false, _) => "denied everything already, by another step",
            (None, _, true) => "denied everything already, by AWSDenyAll",
            (None, _, false) => "not denied",
        };
        Ok(Seen {
            ids: vec![arn],
            in_force: !ours && (found.is_some() || denied_by_aws),
            before: json!({}),
            says: format!("{state}; {active} active keys, {password}"),
            also_hits: Vec::new(),
        })
    }

    fn read_role(aws: &Aws, name: &UserName) -> Result<Seen, Fault> {
        let answer = aws.ask("GetRole", &[("RoleName", name.raw())])?;
        let role = answer.at("GetRoleResult/Role").ok_or_else(|| garbled("GetRole"))?;
        if get(role, "RoleName") != Some(name.raw()) {
            return Err(Fault::NotFound(format!("IAM has no role written exactly `{name}`")));
        }
        let path = get(role, "Path").unwrap_or("/");
        if path.starts_with("/aws-service-role/") {
            return Err(Fault::Unsupported(format!(
                "{name} is linked to a service of AWS; such roles take no policy of their account"
            )));
        }
        if path.starts_with("/aws-reserved/") {
            return Err(Fault::Unsupported(format!(
                "{name} belongs to IAM Identity Center; end the sessions there"
            )));
        }
        if Self::role_policy(aws, name)? == Some(Found::Other) {
            return Err(Fault::Refused(format!(
                "a policy {REVOKE_OLDER} that is not ours stands on {name}; it would be overwritten"
            )));
        }
        let arn = get(role, "Arn").ok_or_else(|| garbled("GetRole"))?.to_owned();
        let mut also_hits =
            vec!["every session of the role that began before now, whoever holds it".to_owned()];
        let trust = get(role, "AssumeRolePolicyDocument").map(unpercent).unwrap_or_default();
        for who in trusted(&trust) {
            also_hits
                .push(format!("may use the role: {}", portreeve_model::untrusted::escape_for_terminal(&who)));
        }
        let profiles =
            aws.members("ListInstanceProfilesForRole", &[("RoleName", name.raw())], "InstanceProfiles")?;
        for profile in &profiles {
            let profile = get(profile, "InstanceProfileName").unwrap_or_default();
            also_hits.push(format!(
                "EC2 instances with profile {}, until their credentials are renewed",
                portreeve_model::untrusted::escape_for_terminal(profile)
            ));
        }
        // Who was revoked before may have come again since; an older time is never the effect that is asked for.
        Ok(Seen {
            ids: vec![arn],
            in_force: false,
            before: json!({}),
            says: "sessions of the role are not told apart by AWS: all that began before now are meant"
                .into(),
            also_hits,
        })
    }

    fn put(aws: &Aws, order: &Order, name: &UserName, document: &Value) -> Result<Ack, Fault> {
        let (action, parameter, policy) = match order.act {
            Act::RevokeTokens => ("PutRolePolicy", "RoleName", REVOKE_OLDER),
            _ => ("PutUserPolicy", "UserName", DENY_ALL),
        };
        aws.change(
            action,
            &[(parameter, name.raw()), ("PolicyName", policy), ("PolicyDocument", &document.to_string())],
        )?;
        Ok(Ack::says(format!("IAM took {action}")))
    }
}

/// The principals of a trust policy, as texts. More than twelve are counted.
fn trusted(document: &str) -> Vec<String> {
    let whole: Value = serde_json::from_str(document).unwrap_or_default();
    let mut found = Vec::new();
    let mut take = |value: &Value| match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    };
    let statements = whole.get("Statement").map(|s| s.as_array().cloned().unwrap_or_else(|| vec![s.clone()]));
    for statement in statements.unwrap_or_default() {
        match statement.get("Principal") {
            Some(Value::Object(kinds)) => kinds.values().for_each(&mut take),
            Some(other) => take(other),
            None => {}
        }
    }
    let more = found.len().saturating_sub(12);
    found.truncate(12);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

impl Control for Iam {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let aws = self.clients.of(order.act)?;
        match task(order)? {
            Task::Key { owner, id } => {
                let (owner, status) = Self::key(&aws, owner, id)?;
                let arn = Self::user(&aws, &UserName::new(owner.as_str())?)?;
                Ok(Seen {
                    ids: vec![arn, id.raw().to_owned()],
                    in_force: status == "Inactive",
                    says: format!("the key of {} is {status}", UserName::new(owner.as_str())?),
                    before: json!({"owner": owner, "status": status}),
                    also_hits: Vec::new(),
                })
            }
            Task::DenyUser(name) => Self::read_user(&aws, name, &order.mark),
            Task::RevokeRole(name) => Self::read_role(&aws, name),
            Task::DropPassword(name) => {
                let arn = Self::user(&aws, name)?;
                let has = Self::has_password(&aws, name)?;
                Ok(Seen {
                    ids: vec![arn],
                    in_force: !has,
                    before: json!({}),
                    says: if has { "has a console password" } else { "has no console password" }.into(),
                    also_hits: Vec::new(),
                })
            }
        }
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let aws = self.clients.of(order.act)?;
        Ok(vec![match task(order)? {
            Task::Key { id, .. } => aws.shown(
                "UpdateAccessKey",
                &[("UserName", owner(seen)?), ("AccessKeyId", id.raw()), ("Status", "Inactive")],
            ),
            Task::DenyUser(name) => format!(
                "{} PolicyDocument={}",
                aws.shown("PutUserPolicy", &[("UserName", name.raw()), ("PolicyName", DENY_ALL)]),
                deny_all(&sid(&order.mark))
            ),
            Task::RevokeRole(name) => format!(
                "{} PolicyDocument={}",
                aws.shown("PutRolePolicy", &[("RoleName", name.raw()), ("PolicyName", REVOKE_OLDER)]),
                revoke_older(&sid(&order.mark), "(the time of sending)")
            ),
            Task::DropPassword(name) => aws.shown("DeleteLoginProfile", &[("UserName", name.raw())]),
        }])
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        let aws = self.clients.of(order.act)?;
        match task(order)? {
            Task::Key { id, .. } => {
                aws.change(
                    "UpdateAccessKey",
                    &[("UserName", owner(seen)?), ("AccessKeyId", id.raw()), ("Status", "Inactive")],
                )?;
                Ok(Ack::says("IAM took UpdateAccessKey"))
            }
            Task::DenyUser(name) => {
                // PutUserPolicy overwrites; what came between the reading and now is not ours to overwrite.
                match Self::user_policy(&aws, name)? {
                    Some(found) if !found.is_of(&order.mark) => {
                        Err(Fault::Refused(format!("a policy {DENY_ALL} has come to {name} meanwhile")))
                    }
                    _ => Self::put(&aws, order, name, &deny_all(&sid(&order.mark))),
                }
            }
            Task::RevokeRole(name) => {
                if Self::role_policy(&aws, name)? == Some(Found::Other) {
                    return Err(Fault::Refused(format!(
                        "a policy {REVOKE_OLDER} that is not ours has come to {name} meanwhile"
                    )));
                }
                let before = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let document = revoke_older(&sid(&order.mark), &before);
                let mut ack = Self::put(&aws, order, name, &document)?;
                ack.made = json!({"before": before});
                Ok(ack)
            }
            Task::DropPassword(name) => {
                aws.change("DeleteLoginProfile", &[("UserName", name.raw())])?;
                Ok(Ack::says("IAM took DeleteLoginProfile"))
            }
        }
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        self.verdict(order, known).unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let aws = self.clients.of(order.act)?;
        match task(order)? {
            Task::Key { id, .. } => {
                let was = known.seen.before.get("status").and_then(Value::as_str).unwrap_or_default();
                if was != "Active" {
                    return Err(Fault::Refused("the key was not Active before; it is left".into()));
                }
                let (owner, status) = self.key_state(order)?;
                if status == "Active" {
                    return Ok(Ack::says("was Active already"));
                }
                aws.change(
                    "UpdateAccessKey",
                    &[("UserName", &owner), ("AccessKeyId", id.raw()), ("Status", "Active")],
                )?;
                Ok(Ack::says("IAM took UpdateAccessKey"))
            }
            Task::DenyUser(name) => match Self::user_policy(&aws, name)? {
                None => Ok(Ack::says("was gone already")),
                Some(found) if !found.is_of(&order.mark) => Err(Fault::Refused(format!(
                    "{DENY_ALL} on {name} is no longer as this step wrote it; it is left"
                ))),
                Some(_) => {
                    aws.change("DeleteUserPolicy", &[("UserName", name.raw()), ("PolicyName", DENY_ALL)])?;
                    Ok(Ack::says("IAM took DeleteUserPolicy"))
                }
            },
            Task::RevokeRole(_) => Err(Fault::Unsupported(
                "sessions that were denied stay denied; who may use the role assumes it again".into(),
            )),
            Task::DropPassword(_) => Err(Fault::Unsupported(
                "a deleted console password cannot be brought back; set a new one with CreateLoginProfile"
                    .into(),
            )),
        }
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let undone = || -> Result<Effect, Fault> {
            let aws = self.clients.of(order.act)?;
            Ok(match task(order)? {
                Task::Key { .. } => {
                    let (_, status) = self.key_state(order)?;
                    if status == known.seen.before.get("status").and_then(Value::as_str).unwrap_or("Active") {
                        Effect::Effective(format!("the key is {status}"))
                    } else {
                        Effect::NotEffective(format!("the key is {status}"))
                    }
                }
                Task::DenyUser(name) => match Self::user_policy(&aws, name)? {
                    None => Effect::Effective(format!("{name} has no policy {DENY_ALL}")),
                    Some(_) => Effect::NotEffective(format!("{name} has the policy {DENY_ALL}")),
                },
                Task::RevokeRole(_) | Task::DropPassword(_) => {
                    Effect::NotEffective("this cannot be undone".into())
                }
            })
        };
        undone().unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let place = &self.clients.place;
        let keys = self.clients.settings.credential(Act::DisableAccount).and_then(|s| Keys::read(&s));
        let me = keys.and_then(|keys| {
            let answer = Aws::open(place, STS, keys)?.ask("GetCallerIdentity", &[])?;
            let arn = get(&answer, "GetCallerIdentityResult/Arn");
            arn.map(str::to_owned).ok_or_else(|| garbled("GetCallerIdentity"))
        });
        let me = match me {
            Ok(arn) => Ability::new("identity", Some(true), arn),
            Err(fault) => return vec![Ability::new("identity", Some(false), fault.to_string())],
        };
        // A name that no account has: who may read is told that there is none, others that they may not.
        const NOBODY: &str = "portreeve-doctor-nobody";
        let reads = |what: &str, action: &str, parameter: &str| {
            let answer = self
                .clients
                .of(Act::DisableAccount)
                .and_then(|aws| there(aws.ask(action, &[(parameter, NOBODY)])));
            match answer {
                Ok(_) => Ability::new(what, Some(true), format!("{action} answers")),
                Err(fault) => Ability::new(what, Some(false), fault.to_string()),
            }
        };
        let writes = "AWS has no dry run for IAM; `iam:SimulatePrincipalPolicy` would tell";
        vec![
            me,
            reads("read users", "GetUser", "UserName"),
            reads("read keys", "ListAccessKeys", "UserName"),
            reads("read roles", "GetRole", "RoleName"),
            Ability::new("change keys, policies and login profiles", None, writes),
        ]
    }
}

impl Iam {
    fn verdict(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let aws = self.clients.of(order.act)?;
        Ok(match task(order)? {
            Task::Key { id, .. } => match self.key_state(order) {
                Ok((_, status)) if status == "Inactive" => Effect::Effective(format!("{id} is Inactive")),
                Ok((_, status)) => Effect::NotEffective(format!("{id} is {status}")),
                Err(Fault::NotFound(_)) => Effect::Effective(format!("{id} is gone")),
                Err(fault) => return Err(fault),
            },
            Task::DenyUser(name) => match Self::user_policy(&aws, name)? {
                Some(Found::Ours { before: None, .. }) => {
                    Effect::Effective(format!("{DENY_ALL} on {name} denies everything"))
                }
                Some(_) => Effect::NotEffective(format!("{DENY_ALL} on {name} was changed")),
                None => Effect::NotEffective(format!("{name} has no policy {DENY_ALL}")),
            },
            Task::RevokeRole(name) => match Self::role_policy(&aws, name)? {
                Some(Found::Ours { sid: found, before: Some(before) }) => {
                    let sent = known.ack.as_ref().and_then(|a| a.made.get("before")).and_then(Value::as_str);
                    // Times of this one form compare as texts. Without the answer, the mark says that it is ours.
                    let enough = sent.map_or(found == sid(&order.mark), |sent| before.as_str() >= sent);
                    if enough {
                        Effect::Effective(format!(
                            "sessions of {name} from before {before} are denied everything"
                        ))
                    } else {
                        Effect::NotEffective(format!("only sessions from before {before} are denied"))
                    }
                }
                Some(_) => Effect::NotEffective(format!("{REVOKE_OLDER} on {name} was changed")),
                None => Effect::NotEffective(format!("{name} has no policy {REVOKE_OLDER}")),
            },
            Task::DropPassword(name) => {
                if Self::has_password(&aws, name)? {
                    Effect::NotEffective(format!("{name} has a console password"))
                } else {
                    Effect::Effective(format!("{name} has no console password"))
                }
            }
        })
    }
}

fn owner(seen: &Seen) -> Result<&str, Fault> {
    seen.before
        .get("owner")
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::Refused("the plan does not say whose key it is".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_a_role_is_told() {
        let one = r#"{"Statement":{"Principal":{"AWS":["arn:aws:iam::1:root","arn:aws:iam::2:user/a"],"Service":"ec2.amazonaws.com"}}}"#;
        assert_eq!(trusted(one), ["arn:aws:iam::1:root", "arn:aws:iam::2:user/a", "ec2.amazonaws.com"]);
        assert_eq!(trusted(r#"{"Statement":[{"Principal":"*"}]}"#), ["*"]);
        let many: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
        let many = json!({"Statement": [{"Principal": {"AWS": many}}]}).to_string();
        assert_eq!(trusted(&many).last().unwrap(), "and 8 more");
        assert!(trusted("no json").is_empty());
    }

    #[test]
    fn acts_and_targets_that_do_not_fit_are_refused() {
        let order = |act, target| Order { act, target, until: None, mark: "m".into(), case: "c".into() };
        let name = UserName::new("a").unwrap();
        assert!(task(&order(Act::RevokeTokens, Target::account(name.clone()))).is_err());
        assert!(task(&order(Act::DisableAccount, Target::Role { name })).is_err());
    }
}
