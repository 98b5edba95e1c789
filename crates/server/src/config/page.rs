//! The configuration as a JSON Schema, and the page of the documentation that is made from it.

use super::Config;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// JSON Schema (2020-12) of the file, for editors that know TOML.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Config)).unwrap_or_default();
    text.push('\n');
    text
}

const HEAD: &str = "\
# Configuration

Generated from the program's own types: every field of the file that `portreeve serve --config FILE` takes, with its
default. What the file does not say has a default that works on one machine; an empty file is a good one. Relative paths
of lists, certificates and folders are meant from where the file lies. The file holds no secret: it says where secrets lie.

`portreeve config check FILE` says what is wrong, with line, column and field, without starting anything. `portreeve config
schema` prints the JSON Schema ([config-schema.json](config-schema.json)). SIGHUP reads the file again:
`context.*` (but for `context.sources`) and `sources.*` (but for zone and product of a source that has spoken) count at once,
certificates are read when they change, and the log names what waits for a restart.
A file that is broken changes nothing.

Built with the feature `kafka` the service takes `[[doors.kafka]]` as well.
";

/// docs/configuration.md.
pub fn markdown() -> String {
    let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default();
    let empty = Map::new();
    let shapes = schema["$defs"].as_object().unwrap_or(&empty);
    let mut uses = BTreeMap::new();
    count(&schema, &mut uses);
    let mut page = Page { shapes, uses, text: HEAD.to_owned(), waiting: Vec::new() };
    page.table(&schema, "");
    page.waiting();
    page.shared();
    page.waiting();
    page.text
}

/// How often each shape is named.
fn count<'s>(value: &'s Value, uses: &mut BTreeMap<&'s str, usize>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(named) {
                *uses.entry(name).or_default() += 1;
            }
            map.values().for_each(|v| count(v, uses));
        }
        Value::Array(list) => list.iter().for_each(|v| count(v, uses)),
        _ => {}
    }
}

fn named(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/$defs/")
}

struct Page<'s> {
    shapes: &'s Map<String, Value>,
    uses: BTreeMap<&'s str, usize>,
    text: String,
    /// Tables that are still to be written: title, path, shape.
    waiting: Vec<(String, String, &'s Value)>,
}

impl<'s> Page<'s> {
    /// Writes what waits, and what comes to wait meanwhile.
    fn waiting(&mut self) {
        while !self.waiting.is_empty() {
            let (title, path, shape) = self.waiting.remove(0);
            write!(self.text, "\n## `{title}`\n").ok();
            self.said(shape);
            self.table(shape, &path);
        }
    }

    fn said(&mut self, shape: &Value) {
        if let Some(said) = shape["description"].as_str() {
            write!(self.text, "\n{}\n", cell(said)).ok();
        }
    }

    fn table(&mut self, shape: &'s Value, path: &str) {
        let Some(fields) = shape["properties"].as_object() else { return };
        let required: Vec<&str> =
            shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.text.push_str("\n| field | type | default | meaning |\n|---|---|---|---|\n");
        for (name, field) in fields {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let inner = self.inner(field);
            let kind = self.kind(field, &path);
            let default =
                if required.contains(&name.as_str()) { "**needed**".to_owned() } else { default(field) };
            let mut meaning = field["description"].as_str().unwrap_or_default().to_owned();
            for (word, said) in words(inner).filter(|(_, said)| !said.is_empty()) {
                write!(meaning, " `{word}`: {said}").ok();
            }
            writeln!(self.text, "| `{name}` | {kind} | {default} | {} |", cell(&meaning)).ok();
        }
    }

    /// What a field holds, without the `null` of one that may be left out.
    fn inner(&self, field: &'s Value) -> &'s Value {
        let one = field["anyOf"].as_array().and_then(|all| all.iter().find(|s| s["type"] != "null"));
        self.resolved(one.unwrap_or(field))
    }

    fn resolved(&self, shape: &'s Value) -> &'s Value {
        shape.get("$ref").and_then(named).and_then(|n| self.shapes.get(n)).unwrap_or(shape)
    }

    /// The type in words; tables of one place alone are put in line to be written.
    fn kind(&mut self, field: &'s Value, path: &str) -> String {
        let one = field["anyOf"].as_array().and_then(|all| all.iter().find(|s| s["type"] != "null"));
        let shape = one.unwrap_or(field);
        let name = shape.get("$ref").and_then(named);
        let inner = self.resolved(shape);
        let all: Vec<String> = words(inner).map(|(word, _)| format!("`\"{word}\"`")).collect();
        if !all.is_empty() {
            return all.join(", ");
        }
        if let Some(name) =
            name.filter(|n| self.uses.get(n).is_some_and(|u| *u > 1) || inner["oneOf"].is_array())
        {
            return format!("[{name}](#{})", name.to_lowercase());
        }
        let kinds = &inner["type"];
        let kind = kinds
            .as_str()
            .or_else(|| kinds.as_array()?.iter().filter_map(Value::as_str).find(|k| *k != "null"));
        match kind {
            Some("array") => {
                let item = &inner["items"];
                if self.resolved(item)["properties"].is_object() {
                    let title = format!("[[{path}]]");
                    self.waiting.push((title.clone(), path.to_owned(), self.resolved(item)));
                    return format!("list of tables `{title}`");
                }
                format!("list of {}", plural(&self.kind(item, path)))
            }
            Some("object") if inner["properties"].is_object() => {
                self.waiting.push((format!("[{path}]"), path.to_owned(), inner));
                format!("table `[{path}]`")
            }
            Some("object") => {
                let item = self.resolved(&inner["additionalProperties"]);
                let path = format!("{path}.NAME");
                self.waiting.push((format!("[{path}]"), path.clone(), item));
                format!("tables `[{path}]`")
            }
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        }
    }

    /// Shapes that several fields have.
    fn shared(&mut self) {
        let shapes = self.shapes;
        for (name, shape) in shapes {
            let is_choice = shape["oneOf"].is_array();
            if !(is_choice || self.uses.get(name.as_str()).is_some_and(|u| *u > 1))
                || words(shape).next().is_some()
            {
                continue;
            }
            write!(self.text, "\n## {name}\n").ok();
            self.said(shape);
            if is_choice {
                self.choice(shape);
            } else {
                self.table(shape, name);
            }
        }
    }

    /// One of several keys.
    fn choice(&mut self, shape: &'s Value) {
        self.text.push_str("\nOne of:\n\n| written as | meaning |\n|---|---|\n");
        for one in shape["oneOf"].as_array().into_iter().flatten() {
            let said = one["description"].as_str().unwrap_or_default();
            for (key, value) in one["properties"].as_object().into_iter().flatten() {
                let inner = match value["properties"].as_object() {
                    Some(fields) => {
                        let fields: Vec<String> = fields.keys().map(|f| format!("{f} = …")).collect();
                        format!("{{ {} }}", fields.join(", "))
                    }
                    None => "…".to_owned(),
                };
                let of = value.get("$ref").and_then(named);
                let of = of.map(|n| format!(" ([{n}](#{}))", n.to_lowercase())).unwrap_or_default();
                writeln!(self.text, "| `{{ {key} = {inner} }}`{of} | {} |", cell(said)).ok();
            }
        }
    }
}

/// The words that an enumeration takes, with what each means.
fn words(shape: &Value) -> impl Iterator<Item = (&str, &str)> {
    let plain = shape["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(|w| (w, ""));
    let told = shape["oneOf"].as_array().into_iter().flatten();
    let told = told.flat_map(|o| {
        let said = o["description"].as_str().unwrap_or_default();
        let several = o["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        o["const"].as_str().into_iter().chain(several).map(move |w| (w, said))
    });
    plain.chain(told)
}

fn default(field: &Value) -> String {
    match field.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(Value::Object(_)) => String::new(),
        Some(value) => format!("`{value}`"),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "string" | "integer" | "number" => format!("{kind}s"),
        other => other.to_owned(),
    }
}

/// In one line of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field without a sentence is a field that nobody can set.
    #[test]
    fn every_field_says_what_it_means() {
        let page = markdown();
        let mute: Vec<&str> = page.lines().filter(|l| l.starts_with("| `") && l.ends_with("|  |")).collect();
        assert!(mute.is_empty(), "{mute:#?}");
        for wanted in [
            "## `[web]`",
            "## `[[doors.syslog]]`",
            "## `[sources.NAME]`",
            "## SecretRef",
            "## `[TlsOptions.clients]`",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
    }
}
