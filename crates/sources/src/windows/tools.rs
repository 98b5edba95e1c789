//! Programs with which somebody elsewhere controls a machine: what a service or a process of the system starts is
//! otherwise of no concern, but these are.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Pieces of file names, command lines and services, in lower case.
const NAMES: &[&str] = &[
    "screenconnect",
    "connectwisecontrol",
    "anydesk",
    "teamviewer",
    "splashtop",
    "srmanager.exe",
    "ateraagent",
    "netsupport",
    "client32.exe",
    "rustdesk",
    "logmein",
    "lmiguardian",
    "gotoassist",
    "g2comm",
    "bomgar",
    "dwagent",
    "ultraviewer",
    "supremo",
    "meshagent",
    "action1_agent",
    "ninjarmm",
    "agentmon.exe",
    "syncrolive",
    "pulseway",
    "simplehelp",
    "rutserv",
    "rserver3",
    "tacticalrmm",
    "aeroadmin",
    "ammyy",
    "zohours",
    "zohomeeting",
    "remotepc",
    "winvnc",
    "tvnserver",
    "ngrok",
    "cloudflared",
    "tailscale",
];

static FIND: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(NAMES).ok());

/// Does a command line or a path name one of them?
pub(crate) fn is_remote_tool(command: &[u8]) -> bool {
    FIND.as_ref().is_some_and(|f| f.is_match(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case() {
        assert!(is_remote_tool(br#""C:\Program Files (x86)\AnyDesk\AnyDesk.exe" --service"#));
        assert!(is_remote_tool(br"C:\Windows\Temp\SCREENCONNECT.ClientService.exe"));
        assert!(!is_remote_tool(br"C:\Windows\System32\svchost.exe -k netsvcs"));
    }
}
