//! The text file that describes a product: its shape, as a person writes it. Documented in docs/own-sources.md.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A log source without code: how its records are known, split and mapped to the normal form.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    /// Stable id: lower-case letters, digits and `_`. A built-in source of the same name is replaced.
    pub(super) name: String,
    /// As people call it.
    pub(super) title: String,
    /// Row of the playbook: vpn, citrix, remote, firewall, authentication, cloud, kubernetes, vlan, endpoint.
    pub(super) row: String,
    /// The documentation that it was read from.
    #[serde(default)]
    pub(super) manual: String,
    /// How to turn the log on.
    pub(super) enable: String,
    /// Fields of the normal form that the product never tells: a question that needs one is answered `unknown`.
    #[serde(default)]
    pub(super) lacks: Vec<String>,
    /// How a record is split into fields; several where the product writes the same fields in several shapes.
    pub(super) format: Shapes,
    /// Text that stands before the object of `json` (`ANALYTICS {…}`).
    #[serde(default)]
    pub(super) prefix: Option<String>,
    /// Between the fields of `csv` and between the pairs of `key_value`; a comma and a blank where not given.
    #[serde(default)]
    pub(super) separator: Option<char>,
    /// Names of the columns of `csv` without a header line.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// How a record of this product is told from all others.
    pub(super) claim: Claim,
    /// Where the event's time stands; the syslog header or the shipper's envelope where not given.
    #[serde(default)]
    pub(super) time: Option<Time>,
    /// Fields of the normal form that every event has: where their values stand in the record.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, From>,
    /// Fields of the normal form that are the same in every event.
    #[serde(default)]
    pub(super) set: BTreeMap<String, Constant>,
    /// What a record means. The first rule whose conditions hold decides; a record that none takes is counted as
    /// another message of the product.
    pub(super) rules: Vec<Rule>,
    /// Lines that you wrote, and what they must give.
    pub(super) tests: Vec<Test>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(untagged)]
pub(super) enum Shapes {
    One(Shape),
    Several(Vec<Shape>),
}

impl Shapes {
    pub(super) fn list(&self) -> &[Shape] {
        match self {
            Shapes::One(shape) => std::slice::from_ref(shape),
            Shapes::Several(shapes) => shapes,
        }
    }
}

#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// One object; fields are paths (`actor.email`, `targets[0].name`). Rows of a table with a header line come as
    /// objects too.
    Json,
    /// `key=value key="quoted value"`.
    KeyValue,
    /// Header fields are `cef.vendor`, `cef.product`, `cef.version`, `cef.id`, `cef.name`, `cef.severity`.
    Cef,
    /// Header fields are `leef.vendor`, `leef.product`, `leef.version`, `leef.id`.
    Leef,
    /// Delimited text without a header line.
    Csv,
    /// Plain words; each rule has a pattern.
    Text,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// Each of these stands in every record of the product, as written (quotes and all); of a list inside the list one
    /// does. Choose telling ones: they are how the product is found among all others.
    pub(super) contains: Vec<Names>,
    /// Name of the program in the syslog header.
    #[serde(default)]
    pub(super) program: Option<String>,
    /// Conditions on fields.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Condition>,
    /// Of these lists of conditions one holds whole.
    #[serde(default)]
    pub(super) any: Vec<BTreeMap<String, Condition>>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    /// Field; of several the first that is there.
    pub(super) from: Names,
    /// `iso` (RFC 3339 and its relatives), `epoch` (seconds to nanoseconds, told apart by size), `syslog`
    /// (`Mar  6 09:12:09`), or a pattern as strptime(3) has it (`%d/%b/%Y:%H:%M:%S %z`); of several the first that
    /// reads the value.
    #[serde(default = "iso")]
    pub(super) format: Names,
    /// The zone of stamps that name none is UTC, by the product's documentation.
    #[serde(default)]
    pub(super) utc: bool,
}

fn iso() -> Names {
    Names::One("iso".to_owned())
}

/// One name or several.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(super) fn list(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        }
    }
}

/// Where a value stands in the record.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(untagged)]
pub(super) enum From {
    /// The field of this name; of several the first that says something.
    Field(Names),
    Rule(Box<FromRule>),
}

#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct FromRule {
    /// Field; of several the first that says something.
    pub(super) from: Names,
    /// Only what follows this text.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// Only what stands before this text.
    #[serde(default)]
    pub(super) before: Option<String>,
    /// Value of the normal form, and the product's values that mean it. Needed for fields with a vocabulary.
    #[serde(default)]
    pub(super) map: BTreeMap<String, Names>,
    /// What the value is where `map` has none.
    #[serde(default)]
    pub(super) otherwise: Option<String>,
}

/// A value as YAML reads it: text, a number, or several texts (flags).
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(untagged)]
pub(super) enum Constant {
    Text(String),
    Number(u64),
    Several(Vec<String>),
}

/// A test of one field: equal to one of these (letter case does not matter), or one of the named tests.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(untagged)]
pub(super) enum Condition {
    Is(Names),
    Number(u64),
    Truth(bool),
    Test(Box<ConditionTest>),
}

#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConditionTest {
    pub(super) contains: Option<Names>,
    pub(super) starts: Option<Names>,
    pub(super) ends: Option<Names>,
    pub(super) not: Option<Names>,
    pub(super) present: Option<bool>,
}

/// All of these hold; or, of a list, one of its entries holds.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(untagged)]
pub(super) enum When {
    All(BTreeMap<String, Condition>),
    Any(Vec<BTreeMap<String, Condition>>),
}

impl Default for When {
    fn default() -> Self {
        When::All(BTreeMap::new())
    }
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// For `text`: the words of the message, with `{field}` where a value stands and `{}` where anything may. A value
    /// ends where the following words first stand; `{field>}` ends where they stand last, which a name with blanks
    /// cannot forge. Without `{}` at its end the pattern must reach the end of the message.
    #[serde(default)]
    pub(super) pattern: Option<String>,
    #[serde(default)]
    pub(super) when: When,
    /// What happened: auth, mfa, session_start, ip_assign, session_resume, session_end, logon, logoff, admin, config,
    /// account, api, flow, exec, alert, lease, nac, posture. Several where one record tells several things.
    #[serde(default)]
    pub(super) act: Option<Names>,
    /// In place of `act`: the record is of no concern, because it is housekeeping, transport, pending, repeats,
    /// outbound_traffic, traffic, machine, routine_use, format, other_message.
    #[serde(default)]
    pub(super) ignore: Option<String>,
    /// As `fields` of the file, for this rule alone.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, From>,
    /// As `set` of the file, for this rule alone.
    #[serde(default)]
    pub(super) set: BTreeMap<String, Constant>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Test {
    /// The record, in one line.
    pub(crate) line: String,
    /// The event in one line (`2026-03-06T09:12:09Z auth success service=ztna user=anna src=192.0.2.1`), or
    /// `(routine use)` and its like for a record of no concern, or `(not mine)`.
    pub(crate) gives: String,
}

/// JSON Schema of the file.
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(SourceFile)).unwrap_or_default()
}
