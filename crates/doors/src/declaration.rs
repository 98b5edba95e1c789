//! What a door says of itself; its page in the documentation is made from this.

/// One way in.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// As in the configuration and in the counters: `splunk_hec`.
    pub name: &'static str,
    pub title: &'static str,
    /// Programs that speak it.
    pub peers: &'static str,
    /// What the tests let it talk to; what they do not is known by documentation alone.
    pub tested: &'static str,
    /// How to point one of them at it, with `HOST` and `TOKEN` to be filled in.
    pub point_at_it: &'static str,
    /// What one record is.
    pub record: &'static str,
    /// Where the protocol is written down.
    pub source: &'static str,
}

/// Its door is built with the feature `kafka`; its page is always there.
pub static KAFKA: Declaration = Declaration {
    name: "kafka",
    title: "Kafka",
    peers: "whatever produces to a topic; Redpanda and Event Hubs speak the same protocol and were not tried",
    point_at_it: "a topic of its own, or one that others read as well",
    tested: "the broker that librdkafka has for tests; Apache Kafka itself was not run",
    record: "the value of one message; with `lines`, each of its lines",
    source: "the Kafka protocol guide",
};

/// All doors, in the order of the documentation.
pub static DOORS: [&Declaration; 15] = [
    &crate::syslog::DECLARATION,
    crate::http::DOORS[0],
    crate::http::DOORS[1],
    crate::http::DOORS[2],
    crate::http::DOORS[3],
    crate::http::DOORS[4],
    crate::http::DOORS[5],
    &crate::lumberjack::DOOR,
    &crate::follow::DECLARATION,
    &crate::journald::DECLARATION,
    &crate::nats::DECLARATION,
    &KAFKA,
    &crate::s3_sqs::DECLARATION,
    &crate::pull::okta::DECLARATION,
    &crate::pull::entra::DECLARATION,
];

/// docs/doors.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Doors\n\nGenerated from the declarations of the doors. A door answers its peer when the records are on the disk, not before; where \
         too many\nwait it says so in the protocol's own words, and drops nothing. What is no record becomes a dead letter, with its reason.\n\
         Fields of each: [configuration.md](configuration.md). `HOST` and `TOKEN` are to be filled in; a token is made with a source, on\n\
         the page or by the API, or its SHA-256 stands in the configuration.\n\n\
         | door | speaks with | tested with |\n|---|---|---|\n",
    );
    for door in DOORS {
        text.push_str(&format!(
            "| [`{0}`](#{0}) | {1} | {2} |\n",
            door.name,
            cell(door.peers),
            cell(door.tested)
        ));
    }
    for door in DOORS {
        text.push_str(&format!("\n## {}\n\n{}.\n\n", door.name, door.title));
        for (what, said) in [
            ("Speaks with", door.peers),
            ("Tested with", door.tested),
            ("Point it here", door.point_at_it),
            ("A record is", door.record),
            ("Written down in", door.source),
        ] {
            text.push_str(&format!("- **{what}**: {}\n", markup(said)));
        }
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Lines of a configuration are code; so is what somebody would fill in.
fn markup(text: &str) -> String {
    let is_code = !text.contains('`') && text.contains(['"', '=']) && !text.contains(", ");
    if is_code { format!("`{text}`") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_door_is_declared_once_and_says_all() {
        let mut names: Vec<&str> = DOORS.iter().map(|d| d.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DOORS.len());
        for d in DOORS {
            for said in [d.title, d.peers, d.tested, d.point_at_it, d.record, d.source] {
                assert!(!said.is_empty(), "{}", d.name);
            }
        }
        for http in crate::http::DOORS {
            assert!(names.contains(&http.name), "{}", http.name);
        }
    }
}
