//! Names of the ATT&CK techniques that detections and the playbook name.

use crate::wire::Case;

pub(crate) const T1133: &str = "T1133";

/// Sorted by id.
static NAMES: &[(&str, &str)] = &[
    ("T1003", "OS Credential Dumping"),
    ("T1016", "System Network Configuration Discovery"),
    ("T1018", "Remote System Discovery"),
    ("T1021", "Remote Services"),
    ("T1021.001", "Remote Desktop Protocol"),
    ("T1021.004", "SSH"),
    ("T1036", "Masquerading"),
    ("T1046", "Network Service Discovery"),
    ("T1053", "Scheduled Task/Job"),
    ("T1068", "Exploitation for Privilege Escalation"),
    ("T1070", "Indicator Removal"),
    ("T1078", "Valid Accounts"),
    ("T1078.001", "Default Accounts"),
    ("T1078.002", "Domain Accounts"),
    ("T1078.004", "Cloud Accounts"),
    ("T1082", "System Information Discovery"),
    ("T1087", "Account Discovery"),
    ("T1090", "Proxy"),
    ("T1090.001", "Internal Proxy"),
    ("T1090.003", "Multi-hop Proxy"),
    ("T1098", "Account Manipulation"),
    ("T1098.001", "Additional Cloud Credentials"),
    ("T1098.004", "SSH Authorized Keys"),
    ("T1098.005", "Device Registration"),
    ("T1110", "Brute Force"),
    ("T1110.001", "Password Guessing"),
    ("T1110.003", "Password Spraying"),
    (T1133, "External Remote Services"),
    ("T1136", "Create Account"),
    ("T1136.001", "Local Account"),
    ("T1136.003", "Cloud Account"),
    ("T1190", "Exploit Public-Facing Application"),
    ("T1200", "Hardware Additions"),
    ("T1526", "Cloud Service Discovery"),
    ("T1528", "Steal Application Access Token"),
    ("T1539", "Steal Web Session Cookie"),
    ("T1543", "Create or Modify System Process"),
    ("T1548", "Abuse Elevation Control Mechanism"),
    ("T1550", "Use Alternate Authentication Material"),
    ("T1550.004", "Web Session Cookie"),
    ("T1552", "Unsecured Credentials"),
    ("T1552.007", "Container API"),
    ("T1556", "Modify Authentication Process"),
    ("T1556.006", "Multi-Factor Authentication"),
    ("T1556.009", "Conditional Access Policies"),
    ("T1562.007", "Disable or Modify Cloud Firewall"),
    ("T1562.008", "Disable or Modify Cloud Logs"),
    ("T1563", "Remote Service Session Hijacking"),
    ("T1570", "Lateral Tool Transfer"),
    ("T1580", "Cloud Infrastructure Discovery"),
    ("T1599", "Network Boundary Bridging"),
    ("T1609", "Container Administration Command"),
    ("T1610", "Deploy Container"),
    ("T1611", "Escape to Host"),
    ("T1621", "Multi-Factor Authentication Request Generation"),
];

pub(crate) fn name(id: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

/// The techniques of a case, T1133 always among them; ids that are none are left out.
pub(crate) fn of(case: &Case) -> Vec<&str> {
    let shape = |id: &str| {
        let rest = id.strip_prefix('T').unwrap_or_default();
        rest.len() >= 4 && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let mut all: Vec<&str> = case
        .indicators
        .iter()
        .flat_map(|i| &i.technique)
        .map(String::as_str)
        .filter(|id| shape(id))
        .collect();
    all.push(T1133);
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn files(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, text);
            } else {
                text.push_str(&std::fs::read_to_string(&path).expect("text"));
            }
        }
    }

    #[test]
    fn every_technique_of_a_detection_has_its_name() {
        let mut text = String::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/detections"), &mut text);
        let mut seen = 0;
        for line in text.lines().filter(|l| l.trim_start().starts_with("technique")) {
            for id in line
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                .filter(|w| w.strip_prefix('T').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())))
            {
                seen += 1;
                assert!(name(id).is_some(), "{id} has no name");
            }
        }
        assert!(seen > 50, "{seen} techniques found");
    }
}
