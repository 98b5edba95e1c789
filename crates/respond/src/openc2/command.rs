//! Commands of OpenC2 as the SLPF profile has them, read into types. What the profile does not know is refused with
//! the status that it asks for.

use super::Specifiers;
use crate::value::Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a command asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Ask {
    /// Names of features, each once; answered by the consumer itself.
    Features(Vec<String>),
    Deny(Wanted),
    Allow(Wanted),
    /// Remove the rule of this number.
    Delete(u64),
    /// All rules, or one with its effect.
    Rules(Option<u64>),
}

/// A rule that is asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted {
    pub net: Net,
    /// Microseconds since 1970, UTC.
    pub until: Option<i64>,
    pub direction: Direction,
    pub drop: DropProcess,
    /// Shall it be there after a restart? `None`: not said.
    pub persistent: Option<bool>,
    /// The number that the rule shall have.
    pub number: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Both,
    Ingress,
    Egress,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropProcess {
    #[default]
    None,
    Reject,
    FalseAck,
}

/// What was done.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// A rule of this number is there.
    Rule(u64),
    Deleted,
    Rules(Vec<RuleState>),
}

/// A rule, and what an independent read says of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleState {
    pub rule_number: u64,
    pub net: Net,
    /// `effective`, `not effective` or `unknown`; absent in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Why something was not done; each has its status in the profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum No {
    Invalid(String),
    Forbidden(String),
    TargetUnsupported,
    OptionUnsupported(String),
    CommandUnsupported,
    NotUpdated(String),
    NumberInUse,
    NotRemoved(String),
    Failed(String),
}

/// How much of an answer is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Requested {
    None,
    Ack,
    Status,
    #[default]
    Complete,
}

/// A command, read.
pub(super) struct Command {
    pub(super) ask: Ask,
    pub(super) requested: Requested,
    pub(super) specifiers: Specifiers,
}

fn invalid(why: impl Into<String>) -> No {
    No::Invalid(why.into())
}

fn one_of<'a>(value: &'a Value, what: &str) -> Result<(&'a str, &'a Value), No> {
    let object = value.as_object().ok_or_else(|| invalid(format!("{what} is no object")))?;
    let mut all = object.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(invalid(format!("{what} is not exactly one"))),
    }
}

impl Command {
    pub(super) fn read(value: &Value) -> Result<Command, No> {
        let object = value.as_object().ok_or_else(|| invalid("the command is no object"))?;
        for name in object.keys() {
            if !matches!(name.as_str(), "action" | "target" | "args" | "actuator" | "profile" | "command_id")
            {
                return Err(invalid("the command holds a field that OpenC2 1.0 does not have"));
            }
        }
        let action =
            object.get("action").and_then(Value::as_str).ok_or_else(|| invalid("action is missing"))?;
        let target = object.get("target").ok_or_else(|| invalid("target is missing"))?;
        let (target, specifier) = one_of(target, "target")?;
        let specifiers = specifiers(object.get("actuator"))?;
        let args = Args::read(object.get("args"))?;
        let requested = args.requested;
        let ask = match (action, target) {
            ("query", "features") => {
                args.only_response()?;
                Ask::Features(features(specifier)?)
            }
            ("query", "x-portreeve:rules") => {
                args.only_response()?;
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Which {
                    rule_number: Option<u64>,
                }
                let which: Which = serde_json::from_value(specifier.clone())
                    .map_err(|_| invalid("x-portreeve:rules is {} or {\"rule_number\": N}"))?;
                Ask::Rules(which.rule_number)
            }
            ("deny", "ipv4_net" | "ipv6_net") => Ask::Deny(args.wanted(net(target, specifier)?)?),
            ("allow", "ipv4_net" | "ipv6_net") => {
                if args.drop.is_some() {
                    return Err(invalid("drop_process is for deny"));
                }
                Ask::Allow(args.wanted(net(target, specifier)?)?)
            }
            ("deny" | "allow", _) => return Err(No::TargetUnsupported),
            ("delete", "slpf:rule_number") => {
                args.only_response()?;
                Ask::Delete(specifier.as_u64().ok_or_else(|| invalid("rule_number is no positive integer"))?)
            }
            ("delete" | "query", _) => return Err(No::TargetUnsupported),
            _ => return Err(No::CommandUnsupported),
        };
        Ok(Command { ask, requested, specifiers })
    }
}

fn specifiers(actuator: Option<&Value>) -> Result<Specifiers, No> {
    let Some(actuator) = actuator else { return Ok(Specifiers::default()) };
    let (profile, value) = one_of(actuator, "actuator")?;
    match profile {
        "slpf" => serde_json::from_value(value.clone()).map_err(|_| {
            // `asset_tuple`, or what the profile does not have.
            No::OptionUnsupported("actuator specifier".into())
        }),
        "x-portreeve" => Ok(Specifiers::default()),
        _ => Err(No::OptionUnsupported("actuator profile".into())),
    }
}

fn features(value: &Value) -> Result<Vec<String>, No> {
    let list = value.as_array().ok_or_else(|| invalid("features is no list"))?;
    let mut found: Vec<String> = Vec::new();
    for feature in list {
        match feature.as_str() {
            Some(f @ ("versions" | "profiles" | "pairs" | "rate_limit")) if !found.iter().any(|x| x == f) => {
                found.push(f.to_owned());
            }
            _ => return Err(invalid("features holds one twice, or one that OpenC2 1.0 does not have")),
        }
    }
    Ok(found)
}

/// An address without a prefix is one address.
fn net(target: &str, value: &Value) -> Result<Net, No> {
    let text = value.as_str().ok_or_else(|| invalid(format!("{target} is no text")))?;
    let net: Net = text.parse().map_err(|e: crate::value::Refused| invalid(e.to_string()))?;
    // `::ffff:192.0.2.1` in an ipv6_net means the IPv4 address, and says so by the wrong name.
    if net.is_v4() != (target == "ipv4_net") {
        return Err(invalid(format!("{target}: an address of the other family")));
    }
    Ok(net)
}

#[derive(Default)]
struct Args {
    requested: Requested,
    start: Option<i64>,
    stop: Option<i64>,
    duration: Option<i64>,
    drop: Option<DropProcess>,
    persistent: Option<bool>,
    direction: Option<Direction>,
    number: Option<u64>,
}

impl Args {
    fn read(value: Option<&Value>) -> Result<Args, No> {
        let mut args = Args::default();
        let Some(value) = value else { return Ok(args) };
        let object = value.as_object().ok_or_else(|| invalid("args is no object"))?;
        let millis = |v: &Value, name: &str| {
            let n = v.as_i64().filter(|n| (0..=i64::MAX / 1000).contains(n));
            n.map(|n| n * 1000).ok_or_else(|| invalid(format!("{name} is no number of milliseconds")))
        };
        for (name, value) in object {
            match name.as_str() {
                "response_requested" => {
                    args.requested = serde_json::from_value(value.clone())
                        .map_err(|_| invalid("response_requested is none, ack, status or complete"))?;
                }
                "start_time" => args.start = Some(millis(value, name)?),
                "stop_time" => args.stop = Some(millis(value, name)?),
                "duration" => args.duration = Some(millis(value, name)?),
                "slpf" => args.slpf(value)?,
                _ => return Err(No::OptionUnsupported("an argument that the profile does not have".into())),
            }
        }
        Ok(args)
    }

    fn slpf(&mut self, value: &Value) -> Result<(), No> {
        let object = value.as_object().ok_or_else(|| invalid("args.slpf is no object"))?;
        for (name, value) in object {
            let wrong = || invalid(format!("{name} has a value that the profile does not have"));
            match name.as_str() {
                "drop_process" => {
                    self.drop = Some(serde_json::from_value(value.clone()).map_err(|_| wrong())?)
                }
                "direction" => {
                    self.direction = Some(serde_json::from_value(value.clone()).map_err(|_| wrong())?)
                }
                "persistent" => self.persistent = Some(value.as_bool().ok_or_else(wrong)?),
                "insert_rule" => self.number = Some(value.as_u64().ok_or_else(wrong)?),
                _ => return Err(No::OptionUnsupported("an argument that slpf does not have".into())),
            }
        }
        Ok(())
    }

    /// Queries and deletions take `response_requested` alone.
    fn only_response(&self) -> Result<(), No> {
        let others = self.start.is_some()
            || self.stop.is_some()
            || self.duration.is_some()
            || self.drop.is_some()
            || self.persistent.is_some()
            || self.direction.is_some()
            || self.number.is_some();
        if others { Err(invalid("this command takes response_requested alone")) } else { Ok(()) }
    }

    fn wanted(self, net: Net) -> Result<Wanted, No> {
        let now = jiff::Timestamp::now().as_microsecond();
        let until = match (self.start, self.stop, self.duration) {
            (Some(_), Some(_), Some(_)) => {
                return Err(invalid("of start_time, stop_time and duration one follows from the others"));
            }
            (Some(start), _, _) if start > now => {
                return Err(No::OptionUnsupported("start_time ahead".into()));
            }
            (start, None, Some(duration)) => Some(start.unwrap_or(now).saturating_add(duration)),
            (_, stop, _) => stop,
        };
        if until.is_some_and(|until| until <= now) {
            return Err(invalid("the rule would end before it begins"));
        }
        if self.number.is_some() && self.requested != Requested::Complete {
            return Err(invalid("insert_rule needs response_requested complete"));
        }
        Ok(Wanted {
            net,
            until,
            direction: self.direction.unwrap_or_default(),
            drop: self.drop.unwrap_or_default(),
            persistent: self.persistent,
            number: self.number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Any JSON, with the words of the profile strewn in.
    fn anything() -> impl Strategy<Value = Value> {
        let word =
            "action|target|args|slpf|actuator|deny|ipv4_net|duration|192\\.0\\.2\\.1|features|[a-z:]{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(word, inner, 0..5).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(value in anything(), part in anything()) {
            let _read = Command::read(&value);
            let _read = Command::read(&json!({"action": "deny", "target": {"ipv4_net": "192.0.2.1"}, "args": part}));
            let _read = Command::read(&json!({"action": "query", "target": part.clone(), "actuator": part}));
        }
    }

    #[test]
    fn an_end_is_told_by_any_two_of_three() {
        let until = |args: Value| {
            let command = json!({"action": "deny", "target": {"ipv4_net": "192.0.2.1"}, "args": args});
            match Command::read(&command).map(|c| c.ask) {
                Ok(Ask::Deny(wanted)) => wanted.until,
                _ => panic!("no denial"),
            }
        };
        let now = jiff::Timestamp::now().as_microsecond();
        assert_eq!(until(json!({})), None);
        let by_duration = until(json!({"duration": 60_000})).unwrap();
        assert!((now + 60_000_000..now + 120_000_000).contains(&by_duration));
        assert_eq!(until(json!({"stop_time": 4_102_444_800_000_i64})), Some(4_102_444_800_000_000));
        let start = now / 1000 - 1000;
        assert_eq!(
            until(json!({"start_time": start, "duration": 3_600_000})),
            Some((start + 3_600_000) * 1000)
        );
    }
}
