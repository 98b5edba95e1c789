//! WireGuard: a peer's key is taken off the interface, and out of the configuration file, from which a restart would
//! bring it back.

use crate::act::Act;
use crate::connector::{
    Ability, Ack, Can, Connector, Control, Effect, Known, Order, Present, Proof, Seen, Setting, Settings,
};
use crate::encode::wireguard as encode;
use crate::fault::Fault;
use crate::target::{Target, TargetKind};
use crate::transport::command::{Argv, Output, Runner, Via};
use crate::transport::file::{self, File};
use crate::value::{KeyId, Net};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

pub static CONNECTOR: Connector = Connector {
    name: "wireguard",
    product: "WireGuard (wg, wg-quick; Linux kernel or wireguard-go)",
    proof: Proof::Proven,
    can: &[Can {
        effect: "the peer with this public key is removed from the interface, its session keys with it; its lines in \
                 the configuration file become comments that begin with our mark",
        leaves_open: "the same key on other interfaces and gateways; a configuration file that was not named here \
                      brings the peer back at the next restart; whoever can have a new key enrolled",
        undo: "the comments become lines again, and the peer is set with its allowed addresses, endpoint and \
               keepalive of before. Its preshared key is never stored by Portreeve: it is read from the \
               configuration file, and a peer whose preshared key stands in no such file cannot be brought back. The \
               client must shake hands anew, which takes up to 20 s",
        verified_by: "`wg show INTERFACE allowed-ips` does not list the key, and no peer of the configuration file, \
                      read again, has it",
        ..Can::at_once(Act::RevokeKey, &[TargetKind::Key])
    }],
    needs: "CAP_NET_ADMIN for `wg` (root, or a sudo rule for `wg`), and the right to replace the configuration file",
    settings: &[
        Setting { name: "interface", required: true, says: "`wg0`" },
        Setting {
            name: "config",
            required: false,
            says: "the file of `wg-quick` or `wg setconf`, `/etc/wireguard/wg0.conf`; without it a restart may bring \
                   the peer back, and a preshared key is lost",
        },
        Setting {
            name: "via",
            required: false,
            says: "`netns: NAME`, or `ssh: {host, user, port, identity, known_hosts, sudo}`; absent: this machine",
        },
    ],
    source: "wg(8) and wg-quick(8); proven with wireguard-go in network namespaces",
    open,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    interface: String,
    config: Option<String>,
    #[serde(default)]
    via: Via,
}

fn open(settings: &Settings) -> Result<Box<dyn Control>, Fault> {
    let config: Config = settings.fields()?;
    Argv::new("wg").setting(&config.interface)?;
    // `wg show` reads these words as something else than an interface.
    if matches!(config.interface.as_str(), "all" | "interfaces") {
        return Err(Fault::Config(format!("interface: `{}` is not one interface", config.interface)));
    }
    Ok(Box::new(WireGuard {
        interface: config.interface,
        config: config.config.as_deref().map(File::new).transpose()?,
        runner: config.via.runner()?,
    }))
}

struct WireGuard {
    interface: String,
    config: Option<File>,
    runner: Runner,
}

const LIMIT: Duration = Duration::from_secs(10);

/// What undo puts back. Where the peer was last seen changes by itself and is noted when the peer is removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Before {
    /// `None`: the peer was in the configuration file alone.
    allowed_ips: Option<Vec<Net>>,
    /// Seconds.
    keepalive: Option<u16>,
    preshared_key: Preshared,
}

/// Whether there is a preshared key and where it can be read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preshared {
    None,
    Configuration,
    Nowhere,
}

fn key(order: &Order) -> Result<(&KeyId, &str), Fault> {
    match &order.target {
        Target::Key { id, .. } => Ok((id, encode::public_key(id)?)),
        other => Err(Fault::Unsupported(format!("WireGuard has keys, not {other}"))),
    }
}

fn prefix(order: &Order) -> Result<String, Fault> {
    encode::prefix(&order.mark).ok_or_else(|| Fault::Config("mark cannot be a comment".into()))
}

impl WireGuard {
    fn show(&self, what: &'static str) -> Result<Vec<(String, String)>, Fault> {
        let argv = Argv::new("wg").arg("show").setting(&self.interface)?.arg(what);
        let output = self.runner.read(&argv, b"", LIMIT)?;
        if !output.ok() {
            let why = output.complaint();
            return Err(if why.contains("No such device") {
                Fault::Config(format!("interface {}: {why}", self.interface))
            } else {
                Fault::Credential(why)
            });
        }
        Ok(table(&output.out))
    }

    /// A column of one peer.
    fn of(&self, what: &'static str, key: &str) -> Result<Option<String>, Fault> {
        Ok(self.show(what)?.into_iter().find(|(peer, _)| peer == key).map(|(_, value)| value))
    }

    /// The configuration file; empty where none is set.
    fn text(&self) -> Result<String, Fault> {
        match &self.config {
            Some(file) => file
                .read(&self.runner)?
                .ok_or_else(|| Fault::Config(format!("{}: there is no such file", file.path()))),
            None => Ok(String::new()),
        }
    }

    fn set(&self, id: &KeyId) -> Result<Argv, Fault> {
        Ok(Argv::new("wg").arg("set").setting(&self.interface)?.arg("peer").value(id))
    }

    fn write(&self, text: &str) -> Result<(), Fault> {
        match &self.config {
            Some(file) => file.replace(&self.runner, text, "600"),
            None => Ok(()),
        }
    }

    /// Sets the peer as it was. A preshared key goes through a file that only its owner may read, for as long as the
    /// command takes: `wg` takes it no other way that works over SSH.
    fn add(
        &self,
        id: &KeyId,
        before: &Before,
        endpoint: Option<&str>,
        psk: Option<&str>,
    ) -> Result<Output, Fault> {
        let mut argv = self.set(id)?;
        let kept = match (psk, &self.config) {
            (Some(psk), Some(config)) => {
                let file = File::new(&format!("{}.portreeve-psk", config.path()))?;
                file.replace(&self.runner, &format!("{psk}\n"), "600")?;
                argv = argv.arg("preshared-key").setting(file.path())?;
                Some(file)
            }
            _ => None,
        };
        let ips = before.allowed_ips.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(",");
        if !ips.is_empty() {
            argv = argv.arg("allowed-ips").setting(&ips)?;
        }
        if let Some(endpoint) = endpoint.and_then(|e| e.parse::<SocketAddr>().ok()) {
            argv = argv.arg("endpoint").setting(&endpoint.to_string())?;
        }
        if let Some(seconds) = before.keepalive {
            argv = argv.arg("persistent-keepalive").value(&u64::from(seconds));
        }
        let output = self.runner.run(&argv, b"", LIMIT);
        if let Some(file) = kept {
            file.remove(&self.runner).map_err(|fault| {
                Fault::Lost(format!("{} is still there and holds a preshared key: {fault}", file.path()))
            })?;
        }
        output
    }
}

/// `KEY<tab>VALUE` a line; `peers` has no value.
fn table(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (key, value) = line.split_once('\t').unwrap_or((line, ""));
            (key.to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// `10.0.0.2/32 fd00::2/128`, or `(none)`.
fn nets(text: &str) -> Vec<Net> {
    text.split_whitespace().filter_map(|net| net.parse().ok()).collect()
}

impl Control for WireGuard {
    fn read(&mut self, order: &Order) -> Result<Seen, Fault> {
        let (_, key) = key(order)?;
        let mark = prefix(order)?;
        let allowed = self.of("allowed-ips", key)?;
        let text = self.text()?;
        let listed = encode::has_peer(&text, key);
        if allowed.is_none() && !listed {
            let out = encode::taken_out(&text).into_iter().find(|(other, _)| other == key);
            return match out {
                None => Err(Fault::NotFound(format!("{} has no peer with this key", self.interface))),
                Some((_, by)) => Ok(Seen {
                    ids: vec![key.to_owned()],
                    in_force: by != order.mark,
                    before: serde_json::Value::Null,
                    says: format!("the key is taken out already ({by})"),
                    also_hits: Vec::new(),
                }),
            };
        }
        // The key itself is compared and let go of.
        let psk = self.of("preshared-keys", key)?.filter(|psk| psk != "(none)");
        let back = encode::with_peer(&text, &mark).unwrap_or_else(|| text.clone());
        let saved = encode::is_saved(&text);
        let preshared_key = match (&psk, encode::preshared_key(&back, key)) {
            (None, _) => Preshared::None,
            (Some(psk), Some(kept)) if psk == kept && !saved => Preshared::Configuration,
            (Some(_), _) => Preshared::Nowhere,
        };
        let allowed = allowed.map(|text| nets(&text));
        let behind: Vec<String> = allowed
            .iter()
            .flatten()
            .filter(|net| !net.is_host())
            .map(|net| format!("the network {net} behind this peer"))
            .collect();
        let keepalive = self.of("persistent-keepalive", key)?.and_then(|text| text.parse().ok());
        let shown: Vec<String> = allowed.iter().flatten().map(ToString::to_string).collect();
        let mut says = match &allowed {
            Some(_) => format!("a peer of {} with {}", self.interface, shown.join(", ")),
            None => format!("no peer of {}, but of its configuration file", self.interface),
        };
        if !listed {
            says.push_str("; no configuration file that is known has it, so undo sets it for this run alone");
        }
        if saved {
            says.push_str("; `SaveConfig` writes the file anew when the interface goes down");
        }
        if preshared_key == Preshared::Nowhere {
            says.push_str(
                "; its preshared key stands in no file that stays: undo cannot bring the peer back",
            );
        }
        Ok(Seen {
            ids: vec![key.to_owned()],
            in_force: false,
            before: serde_json::json!(Before { allowed_ips: allowed, keepalive, preshared_key }),
            says,
            also_hits: behind,
        })
    }

    fn preview(&self, order: &Order, _: &Seen) -> Result<Vec<String>, Fault> {
        let (id, _) = key(order)?;
        let mut lines = Vec::new();
        if let Some(file) = &self.config {
            lines.push(format!(
                "{} (on {}): the peer's lines become comments that begin with `{}`",
                file.path(),
                self.runner.describe(),
                prefix(order)?.trim_end()
            ));
        }
        lines.push(format!("{} (on {})", self.set(id)?.arg("remove").shown(), self.runner.describe()));
        Ok(lines)
    }

    fn apply(&mut self, order: &Order, _: &Seen) -> Result<Ack, Fault> {
        let (id, key) = key(order)?;
        let endpoint = self.of("endpoints", key)?.filter(|e| e != "(none)");
        let text = self.text()?;
        let changed = encode::has_peer(&text, key);
        if changed {
            self.write(&encode::without_peer(&text, key, &prefix(order)?))?;
        }
        let after_file = |why: String| {
            if changed {
                Fault::Lost(format!("the configuration file is changed, but wg: {why}"))
            } else {
                Fault::Refused(why)
            }
        };
        let output = match self.runner.run(&self.set(id)?.arg("remove"), b"", LIMIT) {
            Err(fault) if fault.may_have_acted() => return Err(fault),
            other => other.map_err(|fault| after_file(fault.to_string()))?,
        };
        if !output.ok() {
            return Err(after_file(output.complaint()));
        }
        Ok(Ack {
            made: serde_json::json!({ "endpoint": endpoint }),
            ..Ack::says(if changed {
                "the file is written, and wg took the removal"
            } else {
                "wg took the removal"
            })
        })
    }

    fn verify(&mut self, order: &Order, _: &Known) -> Effect {
        let read = || {
            let (_, key) = key(order)?;
            Ok::<_, Fault>((self.of("allowed-ips", key)?, encode::has_peer(&self.text()?, key)))
        };
        match read() {
            Err(fault) => Effect::unread(&fault),
            Ok((Some(ips), _)) => Effect::NotEffective(format!("{} has the peer with {ips}", self.interface)),
            Ok((None, true)) => Effect::NotEffective(format!(
                "{} does not have the peer, but its configuration file does: a restart brings it back",
                self.interface
            )),
            Ok((None, false)) => Effect::Effective(match &self.config {
                Some(_) => format!("neither {} nor its configuration file has the peer", self.interface),
                None => format!("{} does not have the peer; no configuration file is known", self.interface),
            }),
        }
    }

    fn undo(&mut self, order: &Order, known: &Known) -> Result<Ack, Fault> {
        let (id, key) = key(order)?;
        let before: Before = serde_json::from_value(known.seen.before.clone())
            .map_err(|_| Fault::Unsupported("the plan does not say what the peer was".into()))?;
        let text = self.text()?;
        let back = encode::with_peer(&text, &prefix(order)?);
        let whole = back.as_deref().unwrap_or(&text);
        let there = self.show("allowed-ips")?;
        let is_there = there.iter().any(|(peer, _)| peer == key);
        let psk = match before.preshared_key {
            Preshared::None => None,
            Preshared::Nowhere if !is_there => {
                return Err(Fault::Unsupported(
                    "the peer's preshared key stood in no configuration file and was not kept; give the peer a new one"
                        .into(),
                ));
            }
            Preshared::Nowhere => None,
            Preshared::Configuration => Some(encode::preshared_key(whole, key).ok_or_else(|| {
                Fault::Refused("the configuration file no longer holds the peer's preshared key".into())
            })?),
        };
        let ips = before.allowed_ips.as_deref().unwrap_or_default();
        // An address that is given to a peer is taken from whoever has it.
        let taken = there.iter().filter(|(peer, _)| peer != key).find_map(|(peer, value)| {
            nets(value).into_iter().find(|net| ips.contains(net)).map(|net| (peer.clone(), net))
        });
        if let Some((peer, net)) = taken {
            return Err(Fault::Refused(format!("{net} now belongs to the peer {peer}; it is left there")));
        }
        if let Some(back) = &back {
            self.write(back)?;
        }
        if is_there || before.allowed_ips.is_none() {
            return Ok(Ack::says(if back.is_some() {
                "the configuration file is written; the interface is as it should be"
            } else {
                "was there already"
            }));
        }
        let endpoint =
            known.ack.as_ref().and_then(|ack| ack.made.get("endpoint")).and_then(serde_json::Value::as_str);
        let output = self.add(id, &before, endpoint, psk)?;
        if !output.ok() {
            return Err(if back.is_some() {
                Fault::Lost(format!("the configuration file is written, but wg: {}", output.complaint()))
            } else {
                Fault::Refused(output.complaint())
            });
        }
        Ok(Ack::says("wg took the peer; the client shakes hands anew within 20 s"))
    }

    fn verify_undone(&mut self, order: &Order, known: &Known) -> Effect {
        let read = || {
            let (_, key) = key(order)?;
            let back = encode::with_peer(&self.text()?, &prefix(order)?).is_some();
            Ok::<_, Fault>((self.of("allowed-ips", key)?, back))
        };
        let before: Option<Before> = serde_json::from_value(known.seen.before.clone()).ok();
        let wanted = before.and_then(|b| b.allowed_ips).unwrap_or_default();
        match read() {
            Err(fault) => Effect::unread(&fault),
            Ok((_, true)) => {
                Effect::NotEffective("the configuration file still has the peer as a comment".into())
            }
            Ok((None, _)) if wanted.is_empty() => {
                Effect::Effective("the configuration file has the peer".into())
            }
            Ok((None, _)) => Effect::NotEffective(format!("{} does not have the peer", self.interface)),
            Ok((Some(ips), _)) => {
                let has = nets(&ips);
                match wanted.iter().find(|net| !has.contains(net)) {
                    Some(net) => Effect::NotEffective(format!("the peer is there without {net}")),
                    None => Effect::Effective(format!("{} has the peer with {ips}", self.interface)),
                }
            }
        }
    }

    fn present(&mut self) -> Result<Option<Vec<Present>>, Fault> {
        if self.config.is_none() {
            return Ok(None);
        }
        let found = encode::taken_out(&self.text()?).into_iter();
        Ok(Some(found.map(|(key, mark)| Present { what: format!("key {key}"), mark: Some(mark) }).collect()))
    }

    fn doctor(&mut self) -> Vec<Ability> {
        let peers = self.show("peers");
        let mut found = vec![Ability::new(
            "read the peers",
            Some(peers.is_ok()),
            peers
                .map_or_else(|fault| fault.to_string(), |p| format!("{}: {} peers", self.interface, p.len())),
        )];
        found.push(Ability::new("revoke a key", None, "`wg` has no trial; it needs CAP_NET_ADMIN"));
        found.push(match &self.config {
            None => Ability::new("keep a key out over a restart", Some(false), "config is not set"),
            Some(file) => match file::writable(&self.runner, file.path()) {
                Ok(able) => Ability::new("keep a key out over a restart", Some(able), file.path()),
                Err(fault) => Ability::new("keep a key out over a restart", Some(false), fault.to_string()),
            },
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read() {
        let rows = table("AAA=\t10.0.0.2/32 fd00::2/128\nBBB=\t(none)\n");
        assert_eq!(rows.len(), 2);
        assert_eq!(nets(&rows[0].1).len(), 2);
        assert_eq!(nets(&rows[1].1), []);
    }

    #[test]
    fn what_undo_needs_holds_no_key() {
        let before = Before {
            allowed_ips: Some(nets("10.0.0.2/32 fd00::/64")),
            keepalive: Some(25),
            preshared_key: Preshared::Configuration,
        };
        let text = serde_json::json!(before).to_string();
        assert_eq!(
            text,
            r#"{"allowed_ips":["10.0.0.2","fd00::/64"],"keepalive":25,"preshared_key":"configuration"}"#
        );
    }
}
