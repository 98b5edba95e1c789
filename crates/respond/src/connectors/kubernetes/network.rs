//! Addresses that exposed pods may not be reached from.
//!
//! A NetworkPolicy can only allow, and policies add up: what one allows, no other takes back. So there is one policy
//! of ours for each kind of pods, which allows everybody but the addresses of all open steps; two of them would each
//! allow the other's address. Where another policy selects the pods already, ours could block nothing and would open
//! what that one keeps shut, so it is refused.

use super::policy::{Exposed, Ours, allows, decides_ingress, selects};
use super::{Kubernetes, TRIES, shown, text};
use crate::act::Act;
use crate::connector::{Ack, Effect, Order, Present, Seen};
use crate::fault::Fault;
use crate::target::Target;
use crate::transport::http::{Body, Http, Method};
use crate::value::Net;
use serde_json::{Map, Value, json};

/// Exposed pods with everything that decides who reaches them.
struct Scene<'a> {
    exposed: &'a Exposed,
    /// Names and labels.
    pods: Vec<(String, Map<String, Value>)>,
    /// Pods that are in the network of their node.
    in_host: Vec<String>,
    policies: Vec<Value>,
    /// Services through which pods may see the address of a node and not the client's.
    masking: Vec<String>,
}

fn address(order: &Order) -> Result<Net, Fault> {
    match &order.target {
        Target::Address { net } if net.net().prefix_len() == 0 => {
            Err(Fault::Unsupported("every address there is: refused".into()))
        }
        Target::Address { net } => Ok(*net),
        other => Err(Fault::Unsupported(format!("a NetworkPolicy keeps addresses out, not {other}"))),
    }
}

fn labels(thing: &Value) -> Map<String, Value> {
    thing.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn name(thing: &Value) -> &str {
    text(thing, "/metadata/name").unwrap_or_default()
}

impl<'a> Scene<'a> {
    fn read(http: &Http, exposed: &'a Exposed) -> Result<Scene<'a>, Fault> {
        let pods = exposed.of_core("/pods").query("labelSelector", &exposed.labels());
        let done = |p: &&Value| matches!(text(p, "/status/phase"), Some("Succeeded" | "Failed"));
        let pods: Vec<Value> = Kubernetes::list(http, &pods)?.into_iter().filter(|p| !done(&p)).collect();
        let mut policies = Kubernetes::list(http, &exposed.listed())?;
        policies.retain(decides_ingress);
        let services = Kubernetes::list(http, &exposed.of_core("/services"))?;
        let is_open = |s: &&Value| {
            matches!(text(s, "/spec/type"), Some("NodePort" | "LoadBalancer"))
                && text(s, "/spec/externalTrafficPolicy") != Some("Local")
        };
        let leads_here = |service: &&Value| {
            let selector =
                service.pointer("/spec/selector").filter(|s| s.as_object().is_some_and(|s| !s.is_empty()));
            let selector = selector.map(|s| json!({"matchLabels": s}));
            selector.is_some_and(|s| pods.iter().any(|p| selects(Some(&s), &labels(p))))
        };
        let in_host = |p: &&Value| p.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
        Ok(Scene {
            exposed,
            in_host: pods.iter().filter(in_host).map(|p| shown(name(p))).collect(),
            masking: services
                .iter()
                .filter(is_open)
                .filter(leads_here)
                .map(|s| format!("{}/{}", exposed.namespace, shown(name(s))))
                .collect(),
            pods: pods.iter().map(|p| (shown(name(p)), labels(p))).collect(),
            policies,
        })
    }

    fn ours(&self) -> Result<Option<Ours>, Fault> {
        let ours = self.exposed.policy();
        let found = self.policies.iter().find(|p| name(p) == ours);
        found.map(|p| Ours::read(self.exposed, p.clone())).transpose()
    }

    /// Who lets the address in. Asked for every pod, and for the next one that has the labels.
    fn open_ways(&self, net: Net) -> Vec<String> {
        let next: Map<String, Value> = self
            .exposed
            .pods
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let all = self.pods.iter().map(|(_, labels)| labels).chain(std::iter::once(&next));
        let mut open = Vec::new();
        for labels in all {
            let mut none = true;
            for policy in self.policies.iter().filter(|p| selects(p.pointer("/spec/podSelector"), labels)) {
                none = false;
                if allows(policy, net) {
                    open.push(format!(
                        "NetworkPolicy {}/{} allows {net}",
                        self.exposed.namespace,
                        shown(name(policy))
                    ));
                }
            }
            if none {
                open.push(format!("no NetworkPolicy selects all {}", self.exposed.shown()));
            }
        }
        open.sort();
        open.dedup();
        open
    }

    /// Policies of other hands that decide about these pods.
    fn others(&self) -> Vec<String> {
        let ours = self.exposed.policy();
        let selects_one =
            |p: &&Value| self.pods.iter().any(|(_, labels)| selects(p.pointer("/spec/podSelector"), labels));
        let others =
            self.policies.iter().filter(|p| name(p) != ours && !name(p).starts_with("portreeve-block-"));
        others.filter(selects_one).map(|p| format!("{}/{}", self.exposed.namespace, shown(name(p)))).collect()
    }
}

impl Kubernetes {
    fn scenes(&self, http: &Http) -> Result<Vec<Scene<'_>>, Fault> {
        if self.config.exposed.is_empty() {
            return Err(Fault::Config(
                "`exposed` names no pods that an address could be kept from; name them, or leave block_address out \
                 of this connector's `acts`"
                    .into(),
            ));
        }
        self.config.exposed.iter().map(|exposed| Scene::read(http, exposed)).collect()
    }

    pub(super) fn read_network(&self, order: &Order) -> Result<Seen, Fault> {
        let net = address(order)?;
        let http = self.http(order.act)?;
        let (mut open, mut says, mut marked) = (Vec::new(), Vec::new(), false);
        for scene in self.scenes(&http)? {
            let which = scene.exposed.shown();
            if scene.pods.is_empty() {
                return Err(Fault::NotFound(format!("the cluster has no {which}")));
            }
            if !scene.in_host.is_empty() {
                return Err(Fault::Refused(format!(
                    "{} is in the network of its node, where no NetworkPolicy holds; block the address before it",
                    scene.in_host.join(", ")
                )));
            }
            let ways = scene.open_ways(net);
            let others = scene.others();
            if !ways.is_empty() && !others.is_empty() {
                return Err(Fault::Refused(format!(
                    "{which}: {} selects them, and policies add up: one more takes nothing away and would open what \
                     that one shuts. Leave {net} out there",
                    others.join(", ")
                )));
            }
            marked |= scene.ours()?.is_some_and(|ours| ours.is_marked(&order.mark));
            let masked = match scene.masking.is_empty() {
                true => String::new(),
                false => format!(" (through {} they may see a node's address)", scene.masking.join(", ")),
            };
            says.push(match ways.is_empty() {
                true => format!("{net} cannot reach {which}"),
                false => format!("{which} may be reached from {net}{masked}"),
            });
            open.extend(ways);
        }
        let ids = self.config.exposed.iter().map(|e| format!("NetworkPolicy {}/{}", e.namespace, e.policy()));
        Ok(Seen {
            ids: ids.collect(),
            in_force: open.is_empty() && !marked,
            before: Value::Null,
            says: says.join("; "),
            also_hits: Vec::new(),
        })
    }

    pub(super) fn preview_network(&self, http: &Http, order: &Order) -> Result<Vec<String>, Fault> {
        let net = address(order)?;
        let each = |exposed: &Exposed| {
            let alone = Ours::new(exposed).with(exposed, net, &order.mark, said(order, net))?;
            let put =
                http.shown(Method::Put, &exposed.policies().segment(&exposed.policy()), &Body::Json(&alone));
            Ok(format!("{put} (with what `except` holds already; POST where there is none yet)"))
        };
        self.config.exposed.iter().map(each).collect()
    }

    /// Our policy for some pods, changed under the lock of its reading.
    fn edit_policy(
        http: &Http,
        exposed: &Exposed,
        mut edit: impl FnMut(Option<Ours>) -> Result<Edit, Fault>,
    ) -> Result<bool, Fault> {
        let one = exposed.policies().segment(&exposed.policy());
        for _ in 0..TRIES {
            let now = Self::get(http, &one)?.map(|whole| Ours::read(exposed, whole)).transpose()?;
            let answer = match edit(now)? {
                Edit::Nothing => return Ok(false),
                Edit::Make(whole) => http.change(Method::Post, &exposed.policies(), &Body::Json(&whole))?,
                Edit::Change(whole) => http.change(Method::Put, &one, &Body::Json(&whole))?,
                Edit::Delete(lock) => http.change(Method::Delete, &one, &Body::Json(&lock))?,
            };
            // 409: made or changed by another meanwhile; 404: deleted.
            if !matches!(answer.status, 404 | 409) {
                answer.done()?;
                return Ok(true);
            }
        }
        Err(Fault::Refused(format!(
            "NetworkPolicy {}/{} was changed by others {TRIES} times meanwhile",
            exposed.namespace,
            exposed.policy()
        )))
    }

    pub(super) fn shut(&self, order: &Order) -> Result<Ack, Fault> {
        let net = address(order)?;
        let http = self.http(order.act)?;
        Self::each("policies", &self.config.exposed, |exposed| {
            Self::edit_policy(&http, exposed, |now| {
                Ok(match now {
                    Some(ours) if ours.is_marked(&order.mark) && ours.except().contains(&net) => {
                        Edit::Nothing
                    }
                    Some(ours) => Edit::Change(ours.with(exposed, net, &order.mark, said(order, net))?),
                    None => {
                        Edit::Make(Ours::new(exposed).with(exposed, net, &order.mark, said(order, net))?)
                    }
                })
            })
        })
    }

    pub(super) fn is_shut(&self, order: &Order) -> Result<Effect, Fault> {
        let net = address(order)?;
        let scenes = self.scenes(&self.http(order.act)?)?;
        let mut open: Vec<String> = scenes.iter().flat_map(|s| s.open_ways(net)).collect();
        let in_host = scenes.iter().flat_map(|s| &s.in_host);
        open.extend(in_host.map(|pod| format!("{pod} is in the network of its node, where no policy holds")));
        if !open.is_empty() {
            return Ok(Effect::NotEffective(open.join("; ")));
        }
        let which: Vec<String> = scenes.iter().map(|s| s.exposed.shown()).collect();
        let says = format!("no NetworkPolicy lets {net} reach {}", which.join(", "));
        if self.config.enforced {
            return Ok(Effect::Effective(format!("{says}; the site says that policies are enforced there")));
        }
        let masking: Vec<&str> = scenes.iter().flat_map(|s| &s.masking).map(String::as_str).collect();
        let masked = match masking.is_empty() {
            true => String::new(),
            false => format!("; through {} they may see a node's address in place of it", masking.join(", ")),
        };
        Ok(Effect::Unknown(format!(
            "{says}; the API does not tell whether the network plugin enforces it{masked}. Try it from outside and \
             attest what you saw, or set `enforced: true`"
        )))
    }

    pub(super) fn reopen(&self, order: &Order) -> Result<Ack, Fault> {
        let net = address(order)?;
        let http = self.http(order.act)?;
        Self::each("policies", &self.config.exposed, |exposed| {
            Self::edit_policy(&http, exposed, |now| {
                let Some(ours) = now else { return Ok(Edit::Nothing) };
                if !ours.is_marked(&order.mark) {
                    if ours.except().contains(&net) && !ours.is_held(net, &order.mark) {
                        return Err(Fault::Refused(format!(
                            "NetworkPolicy {}/{} no longer carries this step's annotation; it is left",
                            exposed.namespace,
                            exposed.policy()
                        )));
                    }
                    return Ok(Edit::Nothing);
                }
                let left = ours.without(exposed, net, &order.mark)?;
                if !left.is_empty() {
                    return Ok(Edit::Change(left.written(exposed)));
                }
                // Not one that somebody else has made or changed since.
                let lock = json!({"uid": left.meta("uid"), "resourceVersion": left.meta("resourceVersion")});
                Ok(Edit::Delete(json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": lock})))
            })
        })
    }

    pub(super) fn is_reopened(&self, order: &Order) -> Result<Effect, Fault> {
        let net = address(order)?;
        let (mut left, mut held) = (Vec::new(), false);
        for scene in self.scenes(&self.http(order.act)?)? {
            let Some(ours) = scene.ours()? else { continue };
            let stays = ours.is_held(net, &order.mark);
            held |= stays;
            if ours.is_marked(&order.mark) || (ours.except().contains(&net) && !stays) {
                left.push(format!("{}/{}", scene.exposed.namespace, scene.exposed.policy()));
            }
        }
        Ok(match (left.is_empty(), held) {
            (false, _) => Effect::NotEffective(format!("{net} is still left out in {}", left.join(", "))),
            (true, true) => Effect::Effective(format!("this step is gone; another step keeps {net} out")),
            (true, false) => Effect::Effective(format!("no policy of ours leaves {net} out")),
        })
    }

    pub(super) fn present_in_network(&self) -> Result<Option<Vec<Present>>, Fault> {
        if self.config.exposed.is_empty() {
            return Ok(None);
        }
        let http = self.http(Act::BlockAddress)?;
        let mut found = Vec::new();
        for exposed in &self.config.exposed {
            let one = Self::get(&http, &exposed.policies().segment(&exposed.policy()))?;
            let Some(ours) = one.map(|whole| Ours::read(exposed, whole)).transpose()? else { continue };
            let steps = ours.steps();
            found.extend(
                steps.iter().map(|(mark, net)| Present { what: net.to_string(), mark: Some(mark.clone()) }),
            );
            let strange = ours.except().iter().filter(|net| !steps.iter().any(|(_, of)| of == *net));
            found.extend(strange.map(|net| Present { what: net.to_string(), mark: None }));
        }
        found.sort();
        found.dedup();
        Ok(Some(found))
    }
}

/// What becomes of our policy.
enum Edit {
    Nothing,
    Make(Value),
    Change(Value),
    /// With the lock under which it may go.
    Delete(Value),
}

/// What the annotation says: the address first, which is read again, then what people want to know.
fn said(order: &Order, net: Net) -> String {
    let until = order.until.and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    let until = until.map_or_else(|| "open".to_owned(), |at| format!("until {:.0}", at));
    format!("{net} {until}, {}", order.case)
}
