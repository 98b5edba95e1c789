//! Kubernetes: the rights of a user or service account, the tokens of a service account, and addresses that pods may
//! not be reached from (`network`).
//!
//! A cluster keeps no users, so there is no account to disable; what can be taken away is every binding that names
//! it. The binding itself stays, without this one subject, so nobody else loses anything. Rights by a group, and a
//! client certificate, cannot be taken back: authorization is asked afterwards whether something is still allowed.

mod binding;
mod network;
mod policy;
mod subject;

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::fault::Fault;
use crate::target::TargetKind;
use crate::transport::http::{Body, Endpoint, Http, Method, Path};
use binding::{Before, Bound, Probe, before, marked, naming, probes};
use policy::Exposed;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use subject::{Subject, service};

pub static CONNECTOR: Connector = Connector {
    name: "kubernetes",
    product: "Kubernetes",
    proof: Proof::Contract,
    can: &[
        Can {
            effect: "no RoleBinding and no ClusterRoleBinding names the user or service account; the bindings stay \
                     for their other subjects, with an annotation of this step",
            leaves_open: "rights by groups (`system:masters` of an administrator's certificate above all), by \
                          webhook or node authorization; a client certificate stays valid until it expires and \
                          cannot be revoked; what runs goes on running. A controller that owns a binding (GitOps) \
                          puts the subject back: it is read again after a minute",
            undo: "the subject is put back into the bindings that carry this step's annotation",
            verified_by: "no binding names it, and SubjectAccessReview, asked as the user, refuses what each binding \
                          allowed",
            within: Duration::from_secs(30),
            settle: Duration::from_secs(60),
            ..Can::at_once(Act::DisableAccount, &[TargetKind::Account])
        },
        Can {
            effect: "the service account is deleted and made again under the same name: every token that was issued \
                     to it, bound or in a Secret, names an account that is no more",
            leaves_open: "rights (the bindings go by name and stay); who may create pods or tokens in the namespace \
                          gets a new one. Tokens of users come from outside and are refused here: revoke them at \
                          the identity provider; client certificates cannot be revoked",
            undo: "none: the old tokens stay invalid. Pods of the account lose the API until they are renewed",
            verified_by: "GET of the service account: it has another uid",
            within: Duration::from_secs(30),
            ..Can::at_once(Act::RevokeTokens, &[TargetKind::Account])
        },
        Can {
            effect: "the pods that `exposed` names may be reached from every address but those of open steps: one \
                     NetworkPolicy for each entry, which allows all pods and all ranges `except` these, because \
                     policies add up and two of them would allow each other's address",
            leaves_open: "everything, where the network plugin enforces no policies or the pods see a node's address \
                          in place of the client's (a Service with externalTrafficPolicy Cluster, a proxy before \
                          the cluster); connections that stand, with most plugins; pods in the host's network; \
                          policies of other kinds (AdminNetworkPolicy, CiliumNetworkPolicy), which are not read. \
                          Some plugins count other nodes to no range: try it before it is needed",
            undo: "this step's address is taken out, and the policy is deleted with the last one",
            verified_by: "every NetworkPolicy that selects the pods, read as the cluster adds them up: one of them \
                          selects each pod, and none allows the address. That is what is configured: without \
                          `enforced: true` the effect is unknown until a person attests it",
            within: Duration::from_secs(30),
            settle: Duration::from_secs(60),
            ..Can::at_once(Act::BlockAddress, &[TargetKind::Address])
        },
    ],
    needs: "get, list, update on rolebindings and clusterrolebindings; get on roles and clusterroles, and bind on \
            those that are bound; create on subjectaccessreviews; get, create, delete on serviceaccounts; list on \
            pods. For addresses, in the namespaces of `exposed`: get, list, create, update, delete on \
            networkpolicies, list on pods and services. No right to read Secrets",
    settings: &[
        Setting {
            name: "endpoint",
            required: true,
            says: "`url: https://HOST:6443`, `ca`, `timeout`; `client_cert` and `client_key` in place of a token",
        },
        Setting {
            name: "groups",
            required: false,
            says: "groups that the accounts belong to, for asking as the user; `system:authenticated` always is one",
        },
        Setting {
            name: "exposed",
            required: false,
            says: "the pods that addresses are kept from: `[{namespace: ingress, pods: {app: gateway}}]`, with \
                   labels that all of them have. Where another NetworkPolicy selects them already, a block is \
                   refused: it could take nothing away, and would open what that one shuts",
        },
        Setting {
            name: "enforced",
            required: false,
            says: "`true`: you have seen that the network plugin enforces NetworkPolicy on these pods and that \
                   they see clients' own addresses",
        },
    ],
    source: "Kubernetes API reference: rbac.authorization.k8s.io/v1, authorization.k8s.io/v1, core/v1, \
             networking.k8s.io/v1; Concepts, Network Policies",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    endpoint: Endpoint,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    exposed: Vec<Exposed>,
    #[serde(default)]
    enforced: bool,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Http::open(&config.endpoint)?;
    config.exposed.iter().try_for_each(Exposed::check)?;
    Ok(Box::new(Kubernetes { settings: settings.clone(), config }))
}

struct Kubernetes {
    settings: Settings,
    config: Config,
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// How often a binding is read anew that others keep changing.
const TRIES: usize = 5;

fn garbled(what: &str) -> Fault {
    Fault::Garbled(format!("Kubernetes: {what}"))
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

fn shown(text: &str) -> String {
    portreeve_model::untrusted::escape_for_terminal(text)
}

impl Kubernetes {
    fn http(&self, act: Act) -> Result<Http, Fault> {
        let http = Http::open(&self.config.endpoint)?;
        if self.settings.credentials.is_empty() && self.config.endpoint.client_cert.is_some() {
            return Ok(http);
        }
        Ok(http.bearer(&self.settings.credential(act)?))
    }

    /// A list, page by page.
    fn list(http: &Http, first: &Path) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        let mut path = first.clone();
        for _ in 0..1000 {
            let page = http.get(&path)?.done()?.json()?;
            let items = page.get("items").and_then(Value::as_array).ok_or_else(|| garbled("no list"))?;
            all.extend(items.iter().cloned());
            match text(&page, "/metadata/continue").filter(|c| !c.is_empty()) {
                None => return Ok(all),
                Some(next) => path = first.clone().query("continue", next),
            }
        }
        Err(garbled("the list does not end"))
    }

    /// `None` where there is no such thing.
    fn get(http: &Http, path: &Path) -> Result<Option<Value>, Fault> {
        match http.get(path)?.done() {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Every binding of both kinds.
    fn bindings(http: &Http) -> Result<Vec<Value>, Fault> {
        let mut all = Self::list(http, &Path::new(RBAC).then("/rolebindings?limit=500"))?;
        all.extend(Self::list(http, &Path::new(RBAC).then("/clusterrolebindings?limit=500"))?);
        Ok(all)
    }

    fn role(http: &Http, bound: &Bound, role_ref: &Value) -> Result<Option<Value>, Fault> {
        let Some(name) = text(role_ref, "/name") else { return Ok(None) };
        let path = match (text(role_ref, "/kind"), &bound.namespace) {
            (Some("ClusterRole"), _) => Path::new(RBAC).then("/clusterroles").segment(name),
            (Some("Role"), Some(namespace)) => {
                Path::new(RBAC).then("/namespaces").segment(namespace).then("/roles").segment(name)
            }
            _ => return Ok(None),
        };
        Self::get(http, &path)
    }

    /// A review changes nothing, though it is a POST.
    fn review(http: &Http, own: bool, spec: &Value) -> Result<(bool, String), Fault> {
        let (kind, place) = if own {
            ("SelfSubjectAccessReview", "/selfsubjectaccessreviews")
        } else {
            ("SubjectAccessReview", "/subjectaccessreviews")
        };
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let path = Path::new("/apis/authorization.k8s.io/v1").then(place);
        let answer = http.change(Method::Post, &path, &Body::Json(&body)).and_then(|a| a.done());
        let answer = answer.map_err(|fault| match fault {
            Fault::Lost(why) => Fault::Unreachable(why),
            other => other,
        })?;
        let answer = answer.json()?;
        let allowed = answer.pointer("/status/allowed").and_then(Value::as_bool);
        let reason = shown(text(&answer, "/status/reason").unwrap_or("no reason given"));
        allowed.map(|allowed| (allowed, reason)).ok_or_else(|| garbled("a review without an answer"))
    }

    /// Why the subject may still do this, if it may.
    fn allowed(&self, http: &Http, subject: &Subject, probe: &Probe) -> Result<Option<String>, Fault> {
        let spec = json!({
            "user": subject.username(),
            "groups": subject.groups(&self.config.groups),
            "resourceAttributes": probe,
        });
        let (allowed, reason) = Self::review(http, false, &spec)?;
        Ok(allowed.then_some(reason))
    }

    fn accounts(namespace: &str) -> Path {
        Path::new("/api/v1/namespaces").segment(namespace).then("/serviceaccounts")
    }

    fn account(http: &Http, namespace: &str, name: &str) -> Result<Option<Value>, Fault> {
        Self::get(http, &Self::accounts(namespace).segment(name))
    }

    fn read_bindings(&self, http: &Http, subject: &Subject, mark: &str) -> Result<Seen, Fault> {
        let name = shown(&subject.username());
        if let Subject::Service { namespace, name: account } = subject
            && Self::account(http, namespace, account)?.is_none()
        {
            return Err(Fault::NotFound(format!("the cluster has no {name}")));
        }
        let all = Self::bindings(http)?;
        let ours = all.iter().filter(|b| marked(b, mark)).count();
        let mut plan = Before::default();
        for (bound, role_ref) in naming(subject, &all)? {
            if let Some(role) = Self::role(http, &bound, &role_ref)? {
                for probe in probes(&role, bound.namespace.as_deref().unwrap_or_default()) {
                    // What is not allowed now would prove nothing later.
                    if !plan.probes.contains(&probe) && self.allowed(http, subject, &probe)?.is_some() {
                        plan.probes.push(probe);
                    }
                }
            }
            plan.bindings.push(bound);
        }
        let none = plan.bindings.is_empty();
        if none && ours == 0 && matches!(subject, Subject::User(_)) {
            return Err(Fault::NotFound(format!(
                "no binding names `{name}`, and a cluster keeps no users; rights by groups cannot be seen"
            )));
        }
        let names: Vec<String> = plan.bindings.iter().map(Bound::shown).collect();
        Ok(Seen {
            ids: vec![subject.username()],
            in_force: none && ours == 0,
            says: match (none, ours) {
                (true, 0) => format!("no binding names {name}"),
                (true, n) => format!("{name} was taken out of {n} bindings by this step"),
                (false, _) => format!("{name} is named by {}", names.join(", ")),
            },
            before: serde_json::to_value(&plan).map_err(|e| garbled(&e.to_string()))?,
            also_hits: Vec::new(),
        })
    }

    fn read_tokens(http: &Http, subject: &Subject) -> Result<Seen, Fault> {
        let (namespace, name) = service(subject)?;
        let username = subject.username();
        let account = Self::account(http, namespace, name)?
            .ok_or_else(|| Fault::NotFound(format!("the cluster has no {username}")))?;
        let uid = text(&account, "/metadata/uid").ok_or_else(|| garbled("an account without uid"))?;
        let pods = Path::new("/api/v1/namespaces").segment(namespace).then("/pods?limit=500");
        let pods = pods.query("fieldSelector", &format!("spec.serviceAccountName={name}"));
        // Pods come and go; what owns them stays.
        let mut owners: Vec<String> = Self::list(http, &pods)?
            .iter()
            .map(|pod| {
                let (kind, name) = match pod.pointer("/metadata/ownerReferences/0") {
                    Some(owner) => (text(owner, "/kind"), text(owner, "/name")),
                    None => (Some("Pod"), text(pod, "/metadata/name")),
                };
                format!(
                    "pods of {} {} lose the API until they are renewed",
                    shown(kind.unwrap_or_default()),
                    shown(name.unwrap_or_default())
                )
            })
            .collect();
        owners.sort();
        owners.dedup();
        Ok(Seen {
            ids: vec![username.clone()],
            in_force: false,
            says: format!("{username} has uid {}", shown(uid)),
            before: json!({"uid": uid, "account": subject::remade(&account)}),
            also_hits: owners,
        })
    }

    /// One binding, changed under the lock of its reading. `edit` gives nothing where there is nothing to do.
    fn edit(
        http: &Http,
        bound: &Bound,
        mut edit: impl FnMut(Value) -> Result<Option<Value>, Fault>,
    ) -> Result<bool, Fault> {
        for _ in 0..TRIES {
            let Some(binding) = Self::get(http, &bound.path())? else {
                return Err(Fault::Refused(format!("{} was deleted by another hand", bound.shown())));
            };
            if text(&binding, "/metadata/uid") != Some(&bound.uid) {
                return Err(Fault::Refused(format!("{} is another one by now", bound.shown())));
            }
            let Some(changed) = edit(binding)? else { return Ok(false) };
            let answer = http.change(Method::Put, &bound.path(), &Body::Json(&changed))?;
            if answer.status != 409 {
                answer.done()?;
                return Ok(true);
            }
        }
        Err(Fault::Refused(format!("{} was changed by others {TRIES} times meanwhile", bound.shown())))
    }

    /// All `things` of a plan. What failed does not keep the others from being sent.
    fn each<T>(
        things: &str,
        all: &[T],
        mut change: impl FnMut(&T) -> Result<bool, Fault>,
    ) -> Result<Ack, Fault> {
        let (mut done, mut lost, mut refused) = (0, None, None);
        for one in all {
            match change(one) {
                Ok(changed) => done += usize::from(changed),
                Err(fault) if fault.may_have_acted() => lost = Some(fault),
                Err(fault) => refused = Some(fault),
            }
        }
        match (lost, refused) {
            (Some(fault), _) => Err(fault),
            (None, Some(fault)) if done == 0 => Err(fault),
            (None, Some(fault)) => Err(Fault::Lost(format!("{done} {things} were changed; then {fault}"))),
            (None, None) => Ok(Ack::says(format!("{done} {things} were changed"))),
        }
    }

    fn remake(http: &Http, subject: &Subject, seen: &Seen) -> Result<Ack, Fault> {
        let (namespace, name) = service(subject)?;
        let old = text(&seen.before, "/uid");
        let account = seen.before.get("account").ok_or_else(|| garbled("a plan without the account"))?;
        let mut lost = None;
        if let Some(now) = Self::account(http, namespace, name)? {
            if text(&now, "/metadata/uid") != old {
                return Ok(Ack::says("was made again already"));
            }
            let path = Self::accounts(namespace).segment(name);
            match http.change(Method::Delete, &path, &Body::Nothing).and_then(|a| a.done()) {
                Ok(_) | Err(Fault::NotFound(_)) => {}
                Err(fault) if fault.may_have_acted() => lost = Some(fault),
                Err(fault) => return Err(fault),
            }
            // Gone or not: if it is, it must not stay gone.
            let still = Self::account(http, namespace, name)?;
            if still.is_some_and(|a| text(&a, "/metadata/uid") == old) {
                return Err(lost.unwrap_or_else(|| {
                    Fault::Lost("the deletion was taken, and the account is still there".into())
                }));
            }
        }
        let answer = http.change(Method::Post, &Self::accounts(namespace), &Body::Json(account));
        let made = match answer {
            // `default` is made again by the cluster itself.
            Ok(answer) if answer.status == 409 => Ok(()),
            Ok(answer) => answer.done().map(|_| ()),
            Err(fault) => Err(fault),
        };
        match (made, lost) {
            (Err(fault), _) => {
                Err(Fault::Lost(format!("{} is deleted and not made again: {fault}", subject.username())))
            }
            (Ok(()), Some(fault)) => Err(fault),
            (Ok(()), None) => Ok(Ack::says("the service account was made again")),
        }
    }

    fn verdict(&self, order: &Order, known: &Known) -> Result<Effect, Fault> {
        let (http, subject) = (self.http(order.act)?, Subject::of(order)?);
        let username = shown(&subject.username());
        if order.act == Act::RevokeTokens {
            let (namespace, name) = service(&subject)?;
            return Ok(match Self::account(&http, namespace, name)? {
                None => Effect::NotEffective(format!(
                    "{username} is gone and was not made again; its tokens are invalid"
                )),
                Some(now) if text(&now, "/metadata/uid") == text(&known.seen.before, "/uid") => {
                    Effect::NotEffective(format!("{username} is still the same account"))
                }
                Some(_) => {
                    Effect::Effective(format!("{username} is a new account; older tokens are invalid"))
                }
            });
        }
        let naming = naming(&subject, &Self::bindings(&http)?)?;
        if !naming.is_empty() {
            let names: Vec<String> = naming.iter().map(|(b, _)| b.shown()).collect();
            return Ok(Effect::NotEffective(format!("{username} is named by {}", names.join(", "))));
        }
        let probes = before(&known.seen)?.probes;
        for probe in &probes {
            if let Some(reason) = self.allowed(&http, &subject, probe)? {
                return Ok(Effect::NotEffective(format!(
                    "{username} may still {} {}: {reason}",
                    shown(&probe.verb),
                    shown(&probe.resource)
                )));
            }
        }
        Ok(Effect::Effective(format!(
            "no binding names {username}; {} things that it could do are refused now",
            probes.len()
        )))
    }
}

impl Control for Kubernetes {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        if order.act == Act::BlockAddress {
            return self.read_network(order);
        }
        let (subject, http) = (Subject::of(order)?, self.http(order.act)?);
        match order.act {
            Act::DisableAccount => self.read_bindings(&http, &subject, &order.mark),
            Act::RevokeTokens => Self::read_tokens(&http, &subject),
            other => Err(Fault::Unsupported(format!("kubernetes cannot {}", other.id()))),
        }
    }

    fn preview(&self, order: &Order, seen: &Seen) -> Result<Vec<String>, Fault> {
        let http = Http::open(&self.config.endpoint)?;
        if order.act == Act::BlockAddress {
            return self.preview_network(&http, order);
        }
        let subject = Subject::of(order)?;
        if order.act == Act::RevokeTokens {
            let (namespace, name) = service(&subject)?;
            let accounts = Self::accounts(namespace);
            let account = seen.before.get("account").cloned().unwrap_or(Value::Null);
            return Ok(vec![
                http.shown(Method::Delete, &accounts.clone().segment(name), &Body::Nothing),
                http.shown(Method::Post, &accounts, &Body::Json(&account)),
            ]);
        }
        Ok(before(seen)?
            .bindings
            .iter()
            .map(|bound| {
                let removed = Value::from(bound.removed.clone());
                let put = http.shown(Method::Put, &bound.path(), &Body::Nothing);
                format!("{put} (as it is, without the subjects {removed}, annotated {})", order.mark)
            })
            .collect())
    }

    fn apply(&mut self, order: &Order, seen: &Seen) -> Result<Ack, Fault> {
        if order.act == Act::BlockAddress {
            return self.shut(order);
        }
        let (subject, http) = (Subject::of(order)?, self.http(order.act)?);
        if order.act == Act::RevokeTokens {
            return Self::remake(&http, &subject, seen);
        }
        Self::each("bindings", &before(seen)?.bindings, |bound| {
            Self::edit(&http, bound, |binding| bound.without(binding, &order.mark, &order.case))
        })
    }

    fn verify(&mut self, order: &Order, known: &Known) -> Effect {
        let found = match order.act {
            Act::BlockAddress => self.is_shut(order),
            _ => self.verdict(order, known),
        };
        found.unwrap_or_else(|fault| Effect::unread(&fault))
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        if order.act == Act::BlockAddress {
            return self.reopen(order);
        }
        if order.act == Act::RevokeTokens {
            return Err(Fault::Unsupported("tokens of an account that is no more do not come back".into()));
        }
        let http = self.http(order.act)?;
        Self::each("bindings", &before(&known.seen)?.bindings, |bound| {
            Self::edit(&http, bound, |binding| bound.with(binding, &order.mark))
        })
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        if order.act == Act::BlockAddress {
            return self.is_reopened(order).unwrap_or_else(|fault| Effect::unread(&fault));
        }
        if order.act == Act::RevokeTokens {
            return Effect::NotEffective("this cannot be undone".into());
        }
        let read = || -> Result<Vec<String>, Fault> {
            let (subject, http) = (Subject::of(order)?, self.http(order.act)?);
            let naming = naming(&subject, &Self::bindings(&http)?)?;
            let back = |w: &Bound| naming.iter().any(|(b, _)| b.uid == w.uid);
            Ok(before(&known.seen)?.bindings.iter().filter(|w| !back(w)).map(Bound::shown).collect())
        };
        match read() {
            Err(fault) => Effect::unread(&fault),
            Ok(missing) if missing.is_empty() => Effect::Effective("every binding names it again".into()),
            Ok(missing) => Effect::NotEffective(format!("not named by {}", missing.join(", "))),
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        self.present_in_network()
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let http = match self.http(Act::DisableAccount) {
            Ok(http) => http,
            Err(fault) => return vec![Ability::new("token", Some(false), fault.to_string())],
        };
        let rbac = "rbac.authorization.k8s.io";
        let of_network = self.config.exposed.iter().flat_map(|e| e.rights());
        [
            ("read bindings", "list", rbac, "rolebindings"),
            ("read cluster bindings", "list", rbac, "clusterrolebindings"),
            ("change bindings", "update", rbac, "rolebindings"),
            ("change cluster bindings", "update", rbac, "clusterrolebindings"),
            ("bind roles, which changing a binding takes", "bind", rbac, "clusterroles"),
            ("ask as the user", "create", "authorization.k8s.io", "subjectaccessreviews"),
            ("delete service accounts", "delete", "", "serviceaccounts"),
            ("make service accounts", "create", "", "serviceaccounts"),
        ]
        .into_iter()
        .map(|(what, verb, group, resource)| {
            (what.to_owned(), json!({"verb": verb, "group": group, "resource": resource}))
        })
        .chain(of_network)
        .map(|(what, attributes)| {
            let what = what.as_str();
            let spec = json!({"resourceAttributes": attributes});
            match Self::review(&http, true, &spec) {
                Ok((able, reason)) => Ability::new(what, Some(able), reason),
                Err(fault) => Ability::new(what, Some(false), fault.to_string()),
            }
        })
        .collect()
    }
}
