//! What a configuration that is read again changes: some of it at once, the rest after a restart.

use super::Config;
use serde_json::Value;

/// Fields by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Changed {
    /// In force now.
    pub taken: Vec<String>,
    /// In force after a restart.
    pub restart: Vec<String>,
}

/// Which fields differ.
pub fn changed(old: &Config, new: &Config) -> Changed {
    let mut fields = Vec::new();
    let value = |config| serde_json::to_value(config).unwrap_or_default();
    differing(&value(old), &value(new), String::new(), &mut fields);
    let (taken, restart) = fields.into_iter().partition(|f| is_live(f));
    Changed { taken, restart }
}

/// What records are held against, and who may write. Zone and product of a source are asked for when it speaks for the
/// first time, so those wait.
fn is_live(field: &str) -> bool {
    let of_source = field.strip_prefix("sources.").and_then(|f| f.rsplit('.').next());
    match of_source {
        Some(last) => !matches!(last, "zone" | "product"),
        // Its catalogue of sources is built once.
        None => field.starts_with("context.") && field != "context.sources",
    }
}

fn differing(old: &Value, new: &Value, field: String, into: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (old, new) else {
        into.push(field);
        return;
    };
    let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let inner = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) => differing(a, b, inner, into),
            _ => into.push(inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a configuration")
    }

    #[test]
    fn each_field_that_differs_is_named_and_sorted_by_when_it_counts() {
        let old = config("[sources.a]\nzone = \"UTC\"\n[engine]\nkept_hot_h = 24\n");
        let new = config(
            "[web]\nlisten = \"127.0.0.1:9\"\n[context]\ndir = \"/c\"\n[sources.a]\ndoors = [\"ndjson\"]\n\
             [sources.b]\n[[doors.follow]]\npaths = [\"/x\"]\n",
        );
        let said = changed(&old, &new);
        assert_eq!(said.taken, ["context.dir", "sources.a.doors", "sources.b"]);
        assert_eq!(said.restart, ["doors.follow", "sources.a.zone", "web.listen"]);
        // What is written out and means the default is no change.
        assert_eq!(changed(&old, &config("[sources.a]\nzone = \"UTC\"\n")), Changed::default());
    }
}
