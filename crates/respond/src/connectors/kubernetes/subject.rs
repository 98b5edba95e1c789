//! Users and service accounts, as bindings and reviews name them.

use super::{shown, text};
use crate::connector::Order;
use crate::fault::Fault;
use crate::target::Target;
use serde_json::{Value, json};

/// Whom a binding may name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    User(String),
    Service { namespace: String, name: String },
}

/// What the cluster takes as a name of a namespace or service account.
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

impl Subject {
    pub(super) fn of(order: &Order) -> Result<Subject, Fault> {
        let name = match &order.target {
            Target::Account { name } => name.raw(),
            other => return Err(Fault::Unsupported(format!("kubernetes acts on accounts, not {other}"))),
        };
        let of_the_cluster = || {
            Fault::Unsupported(format!("{} belongs to the cluster itself; it is not touched", shown(name)))
        };
        match name.strip_prefix("system:serviceaccount:").map(|rest| rest.split_once(':')) {
            Some(Some(("kube-system", _))) => Err(of_the_cluster()),
            Some(Some((namespace, account))) if is_label(namespace) && is_label(account) => {
                Ok(Subject::Service { namespace: namespace.to_owned(), name: account.to_owned() })
            }
            Some(_) => Err(Fault::NotFound(format!("`{}` is no service account", shown(name)))),
            None if name.starts_with("system:") => Err(of_the_cluster()),
            None => Ok(Subject::User(name.to_owned())),
        }
    }

    pub(super) fn username(&self) -> String {
        match self {
            Subject::User(name) => name.clone(),
            Subject::Service { namespace, name } => format!("system:serviceaccount:{namespace}:{name}"),
        }
    }

    pub(super) fn groups(&self, configured: &[String]) -> Vec<String> {
        let mut groups = vec!["system:authenticated".to_owned()];
        if let Subject::Service { namespace, .. } = self {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        groups.extend(configured.iter().cloned());
        groups
    }

    /// Does a subject of a binding name this one? A service account is also a user by its long name.
    pub(super) fn is(&self, subject: &Value, binding_namespace: Option<&str>) -> bool {
        let (kind, of) = (text(subject, "/kind"), text(subject, "/name"));
        match (self, kind) {
            (_, Some("User")) => of == Some(self.username().as_str()),
            (Subject::Service { namespace, name }, Some("ServiceAccount")) => {
                of == Some(name) && text(subject, "/namespace").or(binding_namespace) == Some(namespace)
            }
            _ => false,
        }
    }
}

pub(super) fn service(subject: &Subject) -> Result<(&str, &str), Fault> {
    match subject {
        Subject::Service { namespace, name } => Ok((namespace, name)),
        Subject::User(_) => Err(Fault::Unsupported(
            "tokens of users are issued outside of the cluster: revoke them at the identity provider. A client \
             certificate cannot be revoked at all; take away the rights of its name"
                .into(),
        )),
    }
}

/// What a service account is made from again: what people wrote, not what the cluster added.
pub(super) fn remade(account: &Value) -> Value {
    let pick = |from: Option<&Value>, names: &[&str]| {
        let mut picked = serde_json::Map::new();
        for name in names {
            if let Some(value) = from.and_then(|f| f.get(*name)) {
                picked.insert((*name).to_owned(), value.clone());
            }
        }
        picked
    };
    let mut whole = pick(Some(account), &["imagePullSecrets", "automountServiceAccountToken"]);
    let metadata = pick(account.get("metadata"), &["name", "namespace", "labels", "annotations"]);
    whole.insert("metadata".into(), metadata.into());
    whole.insert("apiVersion".into(), json!("v1"));
    whole.insert("kind".into(), json!("ServiceAccount"));
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::Act;
    use crate::value::UserName;

    fn subject(name: &str) -> Result<Subject, Fault> {
        Subject::of(&Order {
            act: Act::DisableAccount,
            target: Target::account(UserName::new(name).unwrap()),
            until: None,
            mark: "m".into(),
            case: "c".into(),
        })
    }

    #[test]
    fn the_cluster_itself_is_not_touched() {
        for name in [
            "system:kube-scheduler",
            "system:node:worker-1",
            "system:masters",
            "system:serviceaccount:kube-system:coredns",
        ] {
            assert!(matches!(subject(name), Err(Fault::Unsupported(_))), "{name}");
        }
        for name in ["system:serviceaccount:a", "system:serviceaccount:a/../b:c", "system:serviceaccount::c"]
        {
            assert!(matches!(subject(name), Err(Fault::NotFound(_))), "{name}");
        }
    }

    #[test]
    fn a_service_account_is_also_a_user_by_its_long_name() {
        let ci = subject("system:serviceaccount:build:ci").unwrap();
        assert!(ci.is(&json!({"kind": "User", "name": "system:serviceaccount:build:ci"}), None));
        let short = json!({"kind": "ServiceAccount", "name": "ci", "namespace": "build"});
        assert!(ci.is(&short, Some("prod")));
        assert!(!ci.is(&json!({"kind": "ServiceAccount", "name": "ci", "namespace": "prod"}), Some("build")));
        assert!(!ci.is(&json!({"kind": "User", "name": "ci"}), Some("build")));
        let anna = subject("anna").unwrap();
        assert!(!anna.is(&json!({"kind": "Group", "name": "anna"}), None));
        assert!(!anna.is(&json!({"kind": "User", "name": "annabel"}), None));
    }
}
