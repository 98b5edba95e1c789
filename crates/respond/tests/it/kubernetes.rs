//! An API server on loopback, after the Kubernetes API reference: pages of one, locks by resourceVersion, and RBAC
//! that answers reviews from the bindings it holds.

use crate::contract::{self, Life};
use crate::lab;
use crate::stub::{Reply, Request, Stub};
use portreeve_respond::act::Act;
use portreeve_respond::connector::{Control, Effect, Known};
use portreeve_respond::connectors::kubernetes::CONNECTOR;
use portreeve_respond::fault::Fault;
use portreeve_respond::target::Target;
use portreeve_respond::value::UserName;
use serde_json::{Value, json};

const TOKEN: &str = "hunter2.bearer.token";
const CI: &str = "system:serviceaccount:build:ci";

fn account(text: &str) -> Target {
    Target::account(UserName::new(text).unwrap())
}

struct Cluster {
    bindings: Vec<Value>,
    accounts: Vec<Value>,
    roles: Vec<(&'static str, Value)>,
    next: u64,
    /// So many writes are met by somebody else's change first.
    disturb: usize,
}

fn binding(namespace: Option<&str>, name: &str, role: &str, subjects: Value) -> Value {
    let mut whole = json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "1",
                     "annotations": {"team": "kept"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    });
    if let Some(namespace) = namespace {
        whole["metadata"]["namespace"] = namespace.into();
    }
    whole
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

fn cluster() -> Cluster {
    let ci = json!({"kind": "ServiceAccount", "name": "ci", "namespace": "build"});
    let ops = json!({"kind": "Group", "name": "ops"});
    let rules = |verb: &str, resource: &str| {
        json!({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]},
                         {"apiGroups": [""], "resources": [resource], "verbs": [verb]}]})
    };
    Cluster {
        bindings: vec![
            binding(Some("prod"), "editors", "edit", json!([user("anna"), user("ben"), ops])),
            binding(Some("build"), "ci-pods", "edit", json!([ci, user(CI)])),
            binding(None, "only:anna", "view", json!([user("anna")])),
            binding(None, "admins", "admin", json!([ops, user("olga")])),
            binding(None, "everybody", "nothing", Value::Null),
        ],
        accounts: vec![json!({
            "metadata": {"name": "ci", "namespace": "build", "uid": "uid-1", "resourceVersion": "7",
                         "labels": {"app": "ci"}, "managedFields": []},
            "automountServiceAccountToken": false, "secrets": [{"name": "old"}],
        })],
        roles: vec![
            ("edit", rules("create", "pods")),
            ("view", rules("list", "secrets")),
            ("admin", rules("*", "*")),
        ],
        next: 2,
        disturb: 0,
    }
}

impl Cluster {
    fn named(&self, path: &str) -> Option<usize> {
        self.bindings.iter().position(|b| {
            let name = b["metadata"]["name"].as_str().unwrap().replace(':', "%3A");
            let mine = match b["metadata"]["namespace"].as_str() {
                Some(namespace) => format!("/namespaces/{namespace}/rolebindings/{name}"),
                None => format!("/clusterrolebindings/{name}"),
            };
            path.ends_with(&mine)
        })
    }

    /// RBAC: the first binding that allows it.
    fn allows(&self, spec: &Value) -> Option<String> {
        let wanted = &spec["resourceAttributes"];
        self.bindings.iter().find_map(|b| {
            let namespace = &b["metadata"]["namespace"];
            if namespace.is_string() && *namespace != wanted["namespace"] {
                return None;
            }
            let long = |s: &Value| {
                let text = |name: &str| s[name].as_str().unwrap_or("").to_owned();
                format!("system:serviceaccount:{}:{}", text("namespace"), text("name"))
            };
            let names = b["subjects"].as_array().into_iter().flatten().any(|s| match s["kind"].as_str() {
                Some("User") => s["name"] == spec["user"],
                Some("Group") => spec["groups"].as_array().is_some_and(|g| g.contains(&s["name"])),
                _ => spec["user"] == long(s),
            });
            let (_, role) = self.roles.iter().find(|(name, _)| b["roleRef"]["name"] == *name)?;
            let fits = |rule: &Value| {
                let any = |list: &str, one: &str| {
                    rule[list].as_array().is_some_and(|l| l.contains(&"*".into()) || l.contains(&wanted[one]))
                };
                any("verbs", "verb") && any("resources", "resource")
            };
            (names && role["rules"].as_array().unwrap().iter().any(fits))
                .then(|| format!("RBAC: allowed by {}", b["metadata"]["name"]))
        })
    }
}

fn page(request: &Request, all: &[Value]) -> Reply {
    let at: usize = request.query("continue").map_or(0, |c| c.parse().unwrap());
    let next = if at + 1 < all.len() { (at + 1).to_string() } else { String::new() };
    let items: Vec<&Value> = all.get(at).into_iter().collect();
    Reply::json(200, json!({"metadata": {"continue": next}, "items": items}))
}

fn status(code: u16, reason: &str) -> Reply {
    Reply::json(code, json!({"kind": "Status", "code": code, "reason": reason}))
}

fn answer(cluster: &mut Cluster, request: &Request) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return status(401, "Unauthorized");
    }
    let of_kind = |namespaced: bool| -> Vec<Value> {
        let fits = |b: &&Value| b["metadata"]["namespace"].is_string() == namespaced;
        cluster.bindings.iter().filter(fits).cloned().collect()
    };
    match (request.method.as_str(), request.path()) {
        ("GET", "/apis/rbac.authorization.k8s.io/v1/rolebindings") => page(request, &of_kind(true)),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings") => page(request, &of_kind(false)),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews") => {
            let reason = cluster.allows(&request.json()["spec"]);
            Reply::json(201, json!({"status": {"allowed": reason.is_some(), "reason": reason}}))
        }
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") => {
            Reply::json(201, json!({"status": {"allowed": true}}))
        }
        ("GET", "/api/v1/namespaces/build/pods") => {
            assert_eq!(request.query("fieldSelector").as_deref(), Some("spec.serviceAccountName=ci"));
            let owner = json!([{"kind": "ReplicaSet", "name": "runner"}]);
            let pod = |name: &str| json!({"metadata": {"name": name, "ownerReferences": owner}});
            page(request, &[pod("runner-1"), pod("runner-2")])
        }
        (_, path) if path.contains("/serviceaccounts") => accounts(cluster, request),
        (_, path) => match path.strip_prefix("/apis/rbac.authorization.k8s.io/v1/clusterroles/") {
            Some(name) => match cluster.roles.iter().find(|(n, _)| *n == name) {
                Some((_, role)) => Reply::json(200, role.clone()),
                None => status(404, "NotFound"),
            },
            None => bindings(cluster, request),
        },
    }
}

fn accounts(cluster: &mut Cluster, request: &Request) -> Reply {
    let name = request.path().rsplit('/').next().unwrap_or("").to_owned();
    if request.method == "POST" && request.path() == "/api/v1/namespaces/build/serviceaccounts" {
        let mut account = request.json();
        if cluster.accounts.iter().any(|a| a["metadata"]["name"] == account["metadata"]["name"]) {
            return status(409, "AlreadyExists");
        }
        assert!(account["metadata"]["uid"].is_null() && account["metadata"]["resourceVersion"].is_null());
        cluster.next += 1;
        account["metadata"]["uid"] = format!("uid-{}", cluster.next).into();
        cluster.accounts.push(account.clone());
        return Reply::json(201, account);
    }
    let Some(at) = cluster.accounts.iter().position(|a| a["metadata"]["name"] == name) else {
        return status(404, "NotFound");
    };
    match request.method.as_str() {
        "GET" => Reply::json(200, cluster.accounts[at].clone()),
        "DELETE" => Reply::json(200, cluster.accounts.remove(at)),
        _ => status(405, "MethodNotAllowed"),
    }
}

fn bindings(cluster: &mut Cluster, request: &Request) -> Reply {
    let Some(at) = cluster.named(request.path()) else { return status(404, "NotFound") };
    match request.method.as_str() {
        "GET" => Reply::json(200, cluster.bindings[at].clone()),
        "PUT" => {
            cluster.next += 1;
            if cluster.disturb > 0 {
                cluster.disturb -= 1;
                cluster.bindings[at]["metadata"]["resourceVersion"] = cluster.next.to_string().into();
                let newcomer = user(&format!("newcomer-{}", cluster.disturb));
                cluster.bindings[at]["subjects"].as_array_mut().unwrap().push(newcomer);
            }
            let mut body = request.json();
            let now = &cluster.bindings[at];
            if body["metadata"]["resourceVersion"] != now["metadata"]["resourceVersion"] {
                return status(409, "Conflict");
            }
            if body["roleRef"] != now["roleRef"] {
                return status(422, "Invalid");
            }
            body["metadata"]["resourceVersion"] = cluster.next.to_string().into();
            cluster.bindings[at] = body.clone();
            Reply::json(200, body)
        }
        _ => status(405, "MethodNotAllowed"),
    }
}

fn serve(mut answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Stub {
    Stub::start_as(
        |r| r.method != "GET" && !r.path().ends_with("reviews"),
        Reply::json(200, json!({})),
        move |request| answer(request),
    )
}

fn of(mut cluster: Cluster) -> Stub {
    serve(move |request| answer(&mut cluster, request))
}

fn fields(url: &str) -> Value {
    json!({"endpoint": {"url": url, "timeout": 5}})
}

fn opened(fields: Value) -> (tempfile::TempDir, Box<dyn Control>) {
    let dir = tempfile::tempdir().unwrap();
    let file = lab::secret_file(dir.path(), "token", TOKEN);
    let control = lab::open(&CONNECTOR, fields, &[("default", &file)]);
    (dir, control)
}

fn names(binding: &Value) -> Vec<String> {
    let subjects = binding["subjects"].as_array().unwrap();
    subjects.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn bindings_lose_their_subject_and_get_it_back() {
    for target in [account("anna"), account(CI)] {
        contract::life(&Life {
            connector: &CONNECTOR,
            act: Act::DisableAccount,
            target,
            device: &|| contract::over(of(cluster()), fields),
            secret: TOKEN,
            absent: &[
                account("nobody"),
                account("ann"),
                account("a\"},{\"kind\":\"User\"<*)&\\../x"),
                account("system:serviceaccount:build:nobody"),
                account("system:serviceaccount:build:../../x"),
            ],
            ambiguous: &[],
        });
    }
}

#[test]
fn a_service_account_is_made_again_and_its_pods_are_told() {
    contract::life(&Life {
        connector: &CONNECTOR,
        act: Act::RevokeTokens,
        target: account(CI),
        device: &|| contract::unmarked(of(cluster()), fields),
        secret: TOKEN,
        absent: &[account("system:serviceaccount:build:nobody")],
        ambiguous: &[],
    });
    let stub = of(cluster());
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let order = lab::order(Act::RevokeTokens, account(CI));
    let seen = kubernetes.read(&order).unwrap();
    assert_eq!(seen.also_hits, ["pods of ReplicaSet runner lose the API until they are renewed"]);
    kubernetes.apply(&order, &seen).unwrap();
    assert_eq!(
        contract::last_change(&stub).json(),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
               "metadata": {"name": "ci", "namespace": "build", "labels": {"app": "ci"}}})
    );
    let fault = kubernetes.read(&lab::order(Act::RevokeTokens, account("anna"))).unwrap_err();
    assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("cannot be revoked")), "{fault}");
}

#[test]
fn others_in_a_binding_stay_also_those_who_come_meanwhile() {
    let stub = of(Cluster { disturb: 2, ..cluster() });
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let order = lab::order(Act::DisableAccount, account("anna"));
    let known = Known { seen: kubernetes.read(&order).unwrap(), ack: None };
    let says = &known.seen.says;
    assert!(says.contains("ClusterRoleBinding only:anna, RoleBinding prod/editors"), "{says}");
    kubernetes.apply(&order, &known.seen).unwrap();
    let last = contract::last_change(&stub).json();
    assert_eq!(last["metadata"]["name"], "editors");
    assert_eq!(names(&last), ["ben", "ops"]);
    assert_eq!(last["metadata"]["annotations"]["team"], "kept");
    assert!(last["metadata"]["annotations"][&order.mark].is_string());
    let only = stub.changes().into_iter().rfind(|r| r.target.contains("only%3Aanna")).unwrap().json();
    assert_eq!(names(&only), ["newcomer-1", "newcomer-0"]);
    kubernetes.undo(&order, &known).unwrap();
    let back = contract::last_change(&stub).json();
    assert_eq!(back["metadata"]["annotations"], json!({"team": "kept"}));
    assert_eq!(names(&back), ["ben", "ops", "anna"]);
    assert!(matches!(kubernetes.verify_undone(&order, &known), Effect::Effective(_)));
}

#[test]
fn a_right_by_a_group_is_seen_after_the_bindings_are_clean() {
    let stub = of(cluster());
    let mut with_groups = fields(&stub.url());
    with_groups["groups"] = json!(["ops"]);
    let (_dir, mut kubernetes) = opened(with_groups);
    let order = lab::order(Act::DisableAccount, account("olga"));
    let known = Known { seen: kubernetes.read(&order).unwrap(), ack: None };
    kubernetes.apply(&order, &known.seen).unwrap();
    let Effect::NotEffective(why) = kubernetes.verify(&order, &known) else {
        panic!("ops may do everything")
    };
    assert!(why.contains("may still * *: RBAC: allowed by"), "{why}");
}

#[test]
fn a_controller_that_puts_the_subject_back_is_seen() {
    let mut whole = cluster();
    let original = whole.bindings[2].clone();
    let (mut taken, mut reads) = (false, 0);
    let stub = serve(move |request| {
        // It comes by between the first verification and the second.
        reads += usize::from(taken && request.path().ends_with("/clusterrolebindings"));
        if reads > whole.bindings.len() {
            whole.bindings[2] = original.clone();
        }
        taken |= request.method == "PUT" && request.path().ends_with("only%3Aanna");
        answer(&mut whole, request)
    });
    let (_dir, mut kubernetes) = opened(fields(&stub.url()));
    let order = lab::order(Act::DisableAccount, account("anna"));
    let known = Known { seen: kubernetes.read(&order).unwrap(), ack: None };
    kubernetes.apply(&order, &known.seen).unwrap();
    assert!(matches!(kubernetes.verify(&order, &known), Effect::Effective(_)), "at first it looks done");
    let last = (0..3).map(|_| kubernetes.verify(&order, &known)).last().unwrap();
    let Effect::NotEffective(why) = last else { panic!("the subject is back: {last:?}") };
    assert!(why.contains("only:anna"), "{why}");
}
