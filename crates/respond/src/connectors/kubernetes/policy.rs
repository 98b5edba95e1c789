//! NetworkPolicies, added up as a cluster does: which pods one selects, and which addresses it lets through.

use super::subject::is_label;
use super::{garbled, shown, text};
use crate::fault::Fault;
use crate::transport::http::Path;
use crate::value::Net;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Pods that can be reached from outside.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exposed {
    pub(super) namespace: String,
    /// Labels that all of them have.
    pub(super) pods: BTreeMap<String, String>,
}

const NETWORKING: &str = "/apis/networking.k8s.io/v1";
/// Both families; pods of the cluster are allowed beside them, because some plugins count them to no range.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

impl Exposed {
    pub(super) fn check(&self) -> Result<(), Fault> {
        let legal = |text: &str, more: &str| {
            text.len() <= 317 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !is_label(&self.namespace) {
            return Err(Fault::Config(format!("exposed: `{}` is no namespace", shown(&self.namespace))));
        }
        if self.pods.is_empty() {
            return Err(Fault::Config(
                "exposed: pods: no label would mean every pod of the namespace".into(),
            ));
        }
        match self.pods.iter().find(|(name, value)| {
            name.is_empty() || !legal(name.as_str(), "-_./") || !legal(value.as_str(), "-_.")
        }) {
            Some((name, value)) => {
                Err(Fault::Config(format!("exposed: pods: `{}: {}` is no label", shown(name), shown(value))))
            }
            None => Ok(()),
        }
    }

    /// Of our policy for these pods. The same pods have the same name, whoever writes it.
    pub(super) fn policy(&self) -> String {
        let mut of = crate::plan::digest(&json!(self.pods).to_string());
        of.truncate(8);
        format!("portreeve-block-{of}")
    }

    pub(super) fn policies(&self) -> Path {
        Path::new(NETWORKING).then("/namespaces").segment(&self.namespace).then("/networkpolicies")
    }

    pub(super) fn listed(&self) -> Path {
        self.policies().query("limit", "500")
    }

    pub(super) fn of_core(&self, resource: &'static str) -> Path {
        let all = Path::new("/api/v1/namespaces").segment(&self.namespace).then(resource);
        all.query("limit", "500")
    }

    /// As a list of pods is asked for.
    pub(super) fn labels(&self) -> String {
        let pairs: Vec<String> = self.pods.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(",")
    }

    pub(super) fn shown(&self) -> String {
        format!("pods {} in {}", self.labels(), self.namespace)
    }

    /// What `doctor` asks for: a word for it, and the attributes of a review.
    pub(super) fn rights(&self) -> Vec<(String, Value)> {
        let networking = "networking.k8s.io";
        let policies =
            ["list", "create", "update", "delete"].map(|verb| (verb, networking, "networkpolicies"));
        let core = [("list", "", "pods"), ("list", "", "services")];
        let all = policies.into_iter().chain(core);
        all.map(|(verb, group, resource)| {
            let what = format!("{verb} {resource} in {}", self.namespace);
            (what, json!({"verb": verb, "group": group, "resource": resource, "namespace": self.namespace}))
        })
        .collect()
    }

    /// What our policy says: all may reach the pods but these.
    fn spec(&self, except: &BTreeSet<Net>) -> Value {
        let mut from = vec![json!({"namespaceSelector": {}})];
        for cidr in EVERYWHERE {
            let out: Vec<String> = except
                .iter()
                .filter(|net| net.is_v4() != cidr.contains(':'))
                .map(|net| net.net().to_string())
                .collect();
            let mut block = json!({"cidr": cidr});
            if !out.is_empty() {
                block["except"] = json!(out);
            }
            from.push(json!({"ipBlock": block}));
        }
        json!({
            "podSelector": {"matchLabels": self.pods},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": from}],
        })
    }
}

/// Our policy for some pods, read from the cluster.
pub(super) struct Ours {
    whole: Value,
    except: BTreeSet<Net>,
}

impl Ours {
    /// Refuses where another hand made it say something else; further addresses of that hand are kept.
    pub(super) fn read(exposed: &Exposed, whole: Value) -> Result<Ours, Fault> {
        let mut except = BTreeSet::new();
        for peer in peers(&whole) {
            for net in excepted(peer) {
                except.insert(Net::new(net.trunc())?);
            }
        }
        let mut spec = whole.get("spec").cloned().unwrap_or_default();
        // The order in which addresses are listed says nothing.
        if let Some(from) = spec.pointer_mut("/ingress/0/from").and_then(Value::as_array_mut) {
            for block in from.iter_mut().filter_map(|p| p.get_mut("ipBlock")).filter_map(Value::as_object_mut)
            {
                let nets: BTreeSet<Net> = block
                    .remove("except")
                    .iter()
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter_map(Value::as_str)
                    .filter_map(|t| t.parse().ok())
                    .collect();
                if !nets.is_empty() {
                    let texts: Vec<String> = nets.iter().map(|n| n.net().to_string()).collect();
                    block.insert("except".into(), json!(texts));
                }
            }
        }
        if spec != exposed.spec(&except) {
            return Err(Fault::Refused(format!(
                "NetworkPolicy {}/{} does not say what Portreeve wrote into it; it is left",
                exposed.namespace,
                exposed.policy()
            )));
        }
        Ok(Ours { whole, except })
    }

    /// One that is not there yet.
    pub(super) fn new(exposed: &Exposed) -> Ours {
        let whole = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": exposed.policy(),
                "namespace": exposed.namespace,
                "labels": {"app.kubernetes.io/managed-by": "portreeve"},
            },
        });
        Ours { whole, except: BTreeSet::new() }
    }

    /// Steps and their addresses, as the annotations tell.
    pub(super) fn steps(&self) -> Vec<(String, Net)> {
        let annotations = self.whole.pointer("/metadata/annotations").and_then(Value::as_object);
        annotations
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.starts_with("portreeve-"))
            .filter_map(|(name, value)| {
                let net = value.as_str()?.split_whitespace().next()?.parse().ok()?;
                Some((name.clone(), net))
            })
            .collect()
    }

    pub(super) fn except(&self) -> &BTreeSet<Net> {
        &self.except
    }

    pub(super) fn is_marked(&self, mark: &str) -> bool {
        self.steps().iter().any(|(m, _)| m == mark)
    }

    /// Does another step than this one hold exactly this address?
    pub(super) fn is_held(&self, net: Net, but: &str) -> bool {
        self.steps().iter().any(|(mark, of)| mark != but && *of == net)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.except.is_empty()
    }

    pub(super) fn meta(&self, name: &str) -> &str {
        self.whole.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    fn annotations(&mut self) -> Result<&mut Map<String, Value>, Fault> {
        let wrong = || garbled("a NetworkPolicy without metadata");
        let metadata = self.whole.get_mut("metadata").and_then(Value::as_object_mut).ok_or_else(wrong)?;
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if annotations.is_null() {
            *annotations = json!({});
        }
        annotations.as_object_mut().ok_or_else(wrong)
    }

    /// With this address for this step.
    pub(super) fn with(
        mut self,
        exposed: &Exposed,
        net: Net,
        mark: &str,
        says: String,
    ) -> Result<Value, Fault> {
        self.annotations()?.insert(mark.to_owned(), says.into());
        self.except.insert(net);
        Ok(self.written(exposed))
    }

    /// Without this step; the address stays where another step holds it.
    pub(super) fn without(mut self, exposed: &Exposed, net: Net, mark: &str) -> Result<Ours, Fault> {
        self.annotations()?.remove(mark);
        if !self.is_held(net, mark) {
            self.except.remove(&net);
        }
        self.whole["spec"] = exposed.spec(&self.except);
        Ok(self)
    }

    pub(super) fn written(mut self, exposed: &Exposed) -> Value {
        self.whole["spec"] = exposed.spec(&self.except);
        self.whole
    }
}

fn peers(policy: &Value) -> impl Iterator<Item = &Value> {
    let rules = policy.pointer("/spec/ingress").and_then(Value::as_array).into_iter().flatten();
    rules.filter_map(|r| r.get("from").and_then(Value::as_array)).flatten()
}

/// Ranges that an `ipBlock` leaves out. What is no range leaves out nothing.
fn excepted(peer: &Value) -> Vec<IpNet> {
    let list = peer.pointer("/ipBlock/except").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).filter_map(|t| t.parse().ok()).collect()
}

/// Does it decide who may reach the pods that it selects?
pub(super) fn decides_ingress(policy: &Value) -> bool {
    match policy.pointer("/spec/policyTypes").and_then(Value::as_array) {
        Some(types) if !types.is_empty() => types.iter().any(|t| t == "Ingress"),
        _ => true,
    }
}

/// Does a selector (`matchLabels`, `matchExpressions`) select these labels? What is not understood counts as a yes,
/// so that a policy is not overlooked.
pub(super) fn selects(selector: Option<&Value>, labels: &Map<String, Value>) -> bool {
    let Some(selector) = selector else { return true };
    let of = |name: &str| labels.get(name).and_then(Value::as_str);
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    wanted.into_iter().flatten().all(|(name, value)| of(name) == value.as_str())
        && expressions.into_iter().flatten().all(|e| {
            let (Some(key), Some(operator)) = (text(e, "/key"), text(e, "/operator")) else { return true };
            let among = || {
                let values = e.get("values").and_then(Value::as_array);
                values.into_iter().flatten().any(|v| v.as_str().is_some_and(|v| of(key) == Some(v)))
            };
            match operator {
                "In" => among(),
                "NotIn" => !among(),
                "Exists" => of(key).is_some(),
                "DoesNotExist" => of(key).is_none(),
                _ => true,
            }
        })
}

/// Does it let something from the address through? Peers that are pods are not asked: the address is none.
pub(super) fn allows(policy: &Value, net: Net) -> bool {
    let rules = policy.pointer("/spec/ingress").and_then(Value::as_array);
    rules.into_iter().flatten().any(|rule| {
        match rule.get("from").and_then(Value::as_array).filter(|f| !f.is_empty()) {
            None => true,
            Some(from) => from.iter().filter(|peer| peer.get("ipBlock").is_some()).any(|peer| {
                let Some(cidr) = text(peer, "/ipBlock/cidr").and_then(|c| c.parse::<IpNet>().ok()) else {
                    return true;
                };
                let shares = cidr.contains(&net.net()) || net.net().contains(&cidr);
                shares && !excepted(peer).iter().any(|out| out.contains(&net.net()))
            }),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: Value) -> Map<String, Value> {
        pairs.as_object().unwrap().clone()
    }

    #[test]
    fn a_selector_selects_as_the_cluster_does() {
        let pod = labels(json!({"app": "gateway", "tier": "edge"}));
        for (selector, yes) in [
            (json!({}), true),
            (json!({"matchLabels": {"app": "gateway"}}), true),
            (json!({"matchLabels": {"app": "gateway", "tier": "core"}}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["edge"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["core"]}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["edge"]}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true),
            (json!({"matchExpressions": [{"key": "zone", "operator": "Gt", "values": ["1"]}]}), true),
        ] {
            assert_eq!(selects(Some(&selector), &pod), yes, "{selector}");
        }
    }

    #[test]
    fn an_address_is_let_through_unless_every_rule_leaves_it_out() {
        let net: Net = "203.0.113.7".parse().unwrap();
        let range: Net = "203.0.113.0/24".parse().unwrap();
        let policy = |ingress: Value| json!({"spec": {"ingress": ingress}});
        let block =
            |cidr: &str, except: Value| json!({"from": [{"ipBlock": {"cidr": cidr, "except": except}}]});
        for (ingress, one, whole) in [
            (Value::Null, false, false),
            (json!([{}]), true, true),
            (json!([{"from": []}]), true, true),
            (json!([{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]), false, false),
            (json!([block("0.0.0.0/0", json!(["203.0.113.7/32"]))]), false, true),
            (json!([block("0.0.0.0/0", json!(["203.0.112.0/20"]))]), false, false),
            (json!([block("0.0.0.0/0", json!(["203.0.113.8/32"]))]), true, true),
            (json!([block("203.0.113.128/25", json!([]))]), false, true),
            (json!([block("::/0", json!([]))]), false, false),
            (json!([block("not a range", json!([]))]), true, true),
            (
                json!([block("0.0.0.0/0", json!(["203.0.113.7/32"])), block("203.0.113.0/29", json!(null))]),
                true,
                true,
            ),
        ] {
            let policy = policy(ingress);
            assert_eq!((allows(&policy, net), allows(&policy, range)), (one, whole), "{policy}");
        }
    }

    #[test]
    fn what_would_select_every_pod_is_refused() {
        let exposed = |namespace: &str, pods: Value| -> Exposed {
            serde_json::from_value(json!({"namespace": namespace, "pods": pods})).unwrap()
        };
        assert!(exposed("ingress", json!({"app.kubernetes.io/name": "gateway"})).check().is_ok());
        assert!(exposed("ingress", json!({})).check().is_err());
        assert!(exposed("../x", json!({"a": "b"})).check().is_err());
        assert!(exposed("ingress", json!({"a": "b,c!=d"})).check().is_err());
    }
}
