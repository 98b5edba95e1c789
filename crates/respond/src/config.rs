//! The configuration of containment (`respond.yml`), and the devices that it names, opened when they are first needed.

use crate::act::Act;
use crate::approve::Policy;
use crate::automation::Automation;
use crate::connector::{Can, Connector, Control, Settings};
use crate::connectors;
use crate::fault::Fault;
use crate::guard::Guard;
use crate::operator::Operator;
use crate::secret::{SecretRef, Vault};
use crate::target::TargetKind;
use crate::value::Net;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ledger lies; relative to the configuration.
    pub ledger: PathBuf,
    /// Signs the ledger's checkpoints.
    #[serde(default)]
    pub checkpoint_key: Option<SecretRef>,
    pub operators: Vec<Operator>,
    pub connectors: Vec<Entry>,
    #[serde(default)]
    pub never_touch: NeverTouch,
    #[serde(default)]
    pub policy: Policy,
    /// What is done without a person at the keys.
    #[serde(default)]
    pub automations: Vec<Automation>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The site's name for the device.
    pub name: String,
    /// `nftables`, `openvpn` …
    pub kind: String,
    /// Only these of the connector's acts.
    #[serde(default)]
    pub acts: Vec<Act>,
    #[serde(default)]
    pub credentials: BTreeMap<String, SecretRef>,
    #[serde(default = "nothing")]
    pub settings: serde_json::Value,
}

fn nothing() -> serde_json::Value {
    serde_json::json!({})
}

/// What the site adds to what is never touched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeverTouch {
    /// Own egress, management, name servers, time servers, identity providers: addresses and ranges.
    pub addresses: Vec<Net>,
    pub accounts: Vec<String>,
    /// Accounts for emergencies.
    pub break_glass: Vec<String>,
    pub devices: Vec<String>,
}

impl Config {
    pub fn read(path: &Path) -> Result<Config, Fault> {
        let wrong = |why: String| Fault::Config(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let mut config = Config::parse(&text).map_err(wrong)?;
        // Paths in the file are meant from where the file lies.
        let base = path.parent().unwrap_or(Path::new("."));
        config.ledger = base.join(&config.ledger);
        let place = |from: &mut SecretRef| {
            if let SecretRef::File(p) | SecretRef::Sealed(p) = from {
                *p = base.join(&*p);
            }
        };
        config.checkpoint_key.iter_mut().for_each(place);
        config.connectors.iter_mut().flat_map(|c| c.credentials.values_mut()).for_each(place);
        Ok(config)
    }

    /// The text of a configuration; an error names the place and what would be right.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config: Config = yaml_serde::from_str(text).map_err(|e| e.to_string())?;
        let mut faults = config.policy.faults();
        for (n, entry) in config.connectors.iter().enumerate() {
            let Some(connector) = connectors::by_name(&entry.kind) else {
                let known: Vec<&str> = connectors::CONNECTORS.iter().map(|c| c.name).collect();
                faults.push(format!(
                    "connectors[{n}]: kind: `{}` is none of {}",
                    entry.kind,
                    known.join(", ")
                ));
                continue;
            };
            for act in &entry.acts {
                if !connector.can.iter().any(|c| c.act == *act) {
                    faults.push(format!(
                        "connectors[{n}] {}: {} cannot {}",
                        entry.name,
                        entry.kind,
                        act.id()
                    ));
                }
            }
            for name in entry.credentials.keys() {
                if !matches!(name.as_str(), "default" | "read") && Act::by_id(name).is_none() {
                    faults.push(format!(
                        "connectors[{n}] {}: credentials: `{name}` is neither default, read nor an act",
                        entry.name
                    ));
                }
            }
            if config.connectors.iter().filter(|c| c.name == entry.name).count() > 1 {
                faults.push(format!("connectors[{n}]: the name {} is given twice", entry.name));
            }
        }
        for (n, automation) in config.automations.iter().enumerate() {
            if config.automations.iter().filter(|a| a.name == automation.name).count() > 1 {
                faults.push(format!("automations[{n}]: the name {} is given twice", automation.name));
            }
            if automation.hours == 0 || automation.hours > config.policy.max_hours {
                faults.push(format!(
                    "automations[{n}] {}: hours: {} is not between 1 and policy.max_hours",
                    automation.name, automation.hours
                ));
            }
            if automation.until.parse::<jiff::civil::Date>().is_err() {
                faults.push(format!(
                    "automations[{n}] {}: until: `{}` is no day like 2027-01-31",
                    automation.name, automation.until
                ));
            }
            if automation.acts.is_empty() {
                faults.push(format!("automations[{n}] {}: acts: it does nothing", automation.name));
            }
        }
        for (n, operator) in config.operators.iter().enumerate() {
            if config
                .operators
                .iter()
                .filter(|o| o.name == operator.name || o.public_key == operator.public_key)
                .count()
                > 1
            {
                faults.push(format!("operators[{n}]: {} has the name or the key of another", operator.name));
            }
        }
        if faults.is_empty() { Ok(config) } else { Err(faults.join("; ")) }
    }

    /// The guard with what this configuration and this machine add. The context's own lists are the caller's to add.
    pub fn guard(&self) -> Guard {
        let mut guard = Guard::new();
        guard.protect_this_machine();
        for net in &self.never_touch.addresses {
            guard.protect_net(*net, "never_touch", "named in never_touch");
        }
        for name in &self.never_touch.accounts {
            guard.protect_account(name, "never_touch", "named in never_touch");
        }
        for name in &self.never_touch.break_glass {
            guard.protect_account(name, "break_glass", "an account for emergencies");
        }
        for name in &self.never_touch.devices {
            guard.protect_device(name, "named in never_touch");
        }
        for operator in &self.operators {
            for name in &operator.accounts {
                guard.protect_account(
                    name,
                    "operator",
                    format!("an account of the operator {}", operator.name),
                );
            }
            for net in operator.addresses.iter().filter_map(|a| a.parse::<Net>().ok()) {
                guard.protect_net(net, "operator", format!("an address of the operator {}", operator.name));
            }
        }
        for entry in &self.connectors {
            for net in hosts(&entry.settings) {
                guard.protect_net(net, "connector", format!("the device {}", entry.name));
            }
        }
        guard
    }
}

/// Addresses in a connector's settings, at any depth: whatever is written as one, alone, with a port or in a URL, and
/// the names in `host`, `server` and `address`. To protect one too many harms nobody.
fn hosts(settings: &serde_json::Value) -> Vec<Net> {
    match settings {
        serde_json::Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(text) => host(text, matches!(name.as_str(), "host" | "server" | "address")),
                None => hosts(value),
            })
            .collect(),
        serde_json::Value::Array(items) => items
            .iter()
            .flat_map(|item| item.as_str().map_or_else(|| hosts(item), |text| host(text, false)))
            .collect(),
        _ => Vec::new(),
    }
}

/// `named`: a word that is no address is a host's name.
fn host(text: &str, named: bool) -> Vec<Net> {
    use std::net::{SocketAddr, ToSocketAddrs};
    if let Ok(net) = text.parse::<Net>() {
        return vec![net];
    }
    let url = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    if url.is_none() && !named && text.parse::<SocketAddr>().is_err() {
        return Vec::new();
    }
    let text = url.unwrap_or(text);
    if let Ok(at) = text.parse::<SocketAddr>() {
        return vec![Net::host(at.ip())];
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<std::net::IpAddr>() {
        return vec![Net::host(ip)];
    }
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    (name, 0).to_socket_addrs().map(|all| all.map(|a| Net::host(a.ip())).collect()).unwrap_or_default()
}

/// The configured devices.
pub struct Devices {
    entries: Vec<Device>,
}

struct Device {
    name: String,
    connector: &'static Connector,
    acts: Vec<Act>,
    settings: Settings,
    control: Option<Box<dyn Control>>,
}

impl Devices {
    pub fn new(config: &Config, vault: &Vault) -> Devices {
        let entries = config
            .connectors
            .iter()
            .filter_map(|entry| {
                Some(Device {
                    name: entry.name.clone(),
                    connector: connectors::by_name(&entry.kind)?,
                    acts: entry.acts.clone(),
                    settings: Settings {
                        name: entry.name.clone(),
                        fields: entry.settings.clone(),
                        credentials: entry.credentials.clone(),
                        vault: vault.clone(),
                    },
                    control: None,
                })
            })
            .collect();
        Devices { entries }
    }

    /// Devices of the caller's own making, for tests.
    pub fn of(controls: Vec<(String, &'static Connector, Box<dyn Control>)>) -> Devices {
        let entries = controls
            .into_iter()
            .map(|(name, connector, control)| Device {
                settings: Settings {
                    name: name.clone(),
                    fields: nothing(),
                    credentials: BTreeMap::new(),
                    vault: Vault::default(),
                },
                name,
                connector,
                acts: Vec::new(),
                control: Some(control),
            })
            .collect();
        Devices { entries }
    }

    pub fn names(&self) -> Vec<String> {
        self.entries.iter().map(|d| d.name.clone()).collect()
    }

    /// The devices that can do this, in the order of the configuration.
    pub fn able(&self, act: Act, on: TargetKind) -> Vec<(String, &'static Can)> {
        self.entries
            .iter()
            .filter(|d| d.acts.is_empty() || d.acts.contains(&act))
            .filter_map(|d| Some((d.name.clone(), d.connector.can(act, on)?)))
            .collect()
    }

    pub fn connector(&self, name: &str) -> Option<&'static Connector> {
        self.entries.iter().find(|d| d.name == name).map(|d| d.connector)
    }

    /// Opens the device anew each time it is called, on any thread.
    pub fn opener(&self, name: &str) -> Option<impl Fn() -> Result<Box<dyn Control>, Fault> + Send + use<>> {
        let device = self.entries.iter().find(|d| d.name == name)?;
        let (open, settings) = (device.connector.open, device.settings.clone());
        Some(move || open(&settings))
    }

    /// Opens the device on first use.
    pub fn control(&mut self, name: &str) -> Result<&mut dyn Control, Fault> {
        let device = self
            .entries
            .iter_mut()
            .find(|d| d.name == name)
            .ok_or_else(|| Fault::Config(format!("no connector is called {name}")))?;
        let control = match device.control.take() {
            Some(control) => control,
            None => (device.connector.open)(&device.settings)?,
        };
        Ok(device.control.insert(control).as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::PrivateKey;

    fn text(extra: &str) -> String {
        let key = PrivateKey::generate().unwrap().public();
        format!(
            "ledger: ledger.db\noperators:\n  - {{name: lena, tier: l1, public_key: \"{key}\", accounts: [lberg], addresses: [198.51.100.9]}}\nconnectors:\n  - name: edge\n    kind: nftables\n    settings: {{via: {{ssh: {{host: 192.0.2.53, user: r, identity: k, known_hosts: h}}}}}}\n{extra}"
        )
    }

    #[test]
    fn a_configuration_is_read_and_its_own_hosts_are_protected() {
        let config =
            Config::parse(&text("never_touch: {addresses: [203.0.113.0/24], break_glass: [bg-1]}\n"))
                .unwrap();
        let guard = config.guard();
        let order = |net: &str| crate::connector::Order {
            act: Act::BlockAddress,
            target: crate::target::Target::address(net.parse().unwrap()),
            until: None,
            mark: "m".into(),
            case: "c".into(),
        };
        for (net, rule) in
            [("192.0.2.53", "connector"), ("203.0.113.9", "never_touch"), ("198.51.100.9", "operator")]
        {
            assert_eq!(guard.check(&order(net)).unwrap_err()[0].rule, rule, "{net}");
        }
        assert!(guard.check(&order("198.51.100.77")).is_ok());
    }

    #[test]
    fn addresses_of_devices_are_found_however_they_are_written() {
        let settings = serde_json::json!({
            "endpoint": {"url": "https://192.0.2.1:8443/api"}, "management": "192.0.2.2:7505",
            "consumers": ["192.0.2.3", "192.0.2.64/28"], "deep": [{"server": "2001:db8::5"}],
            "login": "https://[2001:db8::6]/x", "user": "admin", "path": "/a:b", "group": "x.y",
        });
        let mut found: Vec<String> = hosts(&settings).iter().map(Net::to_string).collect();
        found.sort();
        assert_eq!(
            found,
            ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.64/28", "2001:db8::5", "2001:db8::6"]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (extra, word) in [
            ("policy: {limits: {per_hour: 5000}}\n", "limits.per_hour: 5000"),
            ("policy: {max_hours: 0}\n", "max_hours: 0"),
            ("colour: red\n", "colour"),
            ("never_touch: {addresses: [10.0.0.1/8]}\n", "bits set behind"),
        ] {
            let why = Config::parse(&text(extra)).unwrap_err();
            assert!(why.contains(word), "{extra}: {why}");
        }
        let unknown = text("").replace("kind: nftables", "kind: iptaples");
        assert!(Config::parse(&unknown).unwrap_err().contains("`iptaples` is none of"));
    }
}
