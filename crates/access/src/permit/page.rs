//! The table as a page of the docs.

use super::table::{Condition, RULES};
use super::verb::Verb;
use crate::role::Role;
use std::fmt::Write as _;

/// Markdown: one row for each verb, one column for each role; a number points at a condition below.
pub fn markdown() -> String {
    let mut out = String::from("| to | id |");
    for role in Role::ALL {
        push(&mut out, format_args!(" {} |", role.title()));
    }
    out.push_str("\n|---|---|");
    out.push_str(&":-:|".repeat(Role::ALL.len()));
    out.push('\n');
    for verb in Verb::ALL {
        push(&mut out, format_args!("| {} | `{verb}` |", verb.title()));
        for role in Role::ALL {
            push(&mut out, format_args!(" {} |", cell(*verb, role)));
        }
        out.push('\n');
    }
    out.push_str(
        "\nA restricted case, and whatever is TLP:RED, exists for its members alone; an auditor may read it. \
         Several numbers: all must hold. A token may do what its owner may and its scope names.\n\n",
    );
    for (i, condition) in Condition::ALL.iter().enumerate() {
        push(&mut out, format_args!("{}. {}\n", i + 1, condition.title()));
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

fn cell(verb: Verb, role: Role) -> String {
    let ways: Vec<String> = RULES
        .iter()
        .filter(|r| r.verb == verb && r.roles.contains(&role))
        .map(|r| {
            let numbers: Vec<String> = r
                .conditions
                .iter()
                .filter_map(|c| Condition::ALL.iter().position(|a| a == c))
                .map(|i| (i + 1).to_string())
                .collect();
            if numbers.is_empty() { "yes".to_owned() } else { numbers.join(" ") }
        })
        .collect();
    if ways.is_empty() { "–".to_owned() } else { ways.join(" or ") }
}
