//! OpenVPN: lines of its management interface, and files of its client-config directory.
//!
//! The interface takes one command a line and has no quoting that survives a line break: a name with `\n` in it is a
//! second command. So names do not go there at all; a command is one of a few, with a number.

use crate::value::{Refused, UserName};
use zeroize::Zeroizing;

/// What is ever sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// The clients, as tab-separated values.
    Status,
    /// Ends one client by its id. `HALT` tells it to exit; without it the client is told to restart, and does.
    ClientKill {
        cid: u64,
    },
    Quit,
}

impl Command {
    /// Without the line's end.
    pub fn text(self) -> String {
        match self {
            Command::Status => "status 3".to_owned(),
            Command::ClientKill { cid } => format!("client-kill {cid} HALT"),
            Command::Quit => "quit".to_owned(),
        }
    }

    pub fn line(self) -> String {
        self.text() + "\n"
    }
}

/// The answer to `ENTER PASSWORD:`. `None` for a password that would be more than one line.
pub fn password(secret: &str) -> Option<Zeroizing<String>> {
    let fits = !secret.is_empty() && !secret.contains(['\n', '\r', '\0']);
    fits.then(|| Zeroizing::new(format!("{secret}\n")))
}

/// The file of a common name in the client-config directory. OpenVPN writes `_` for `/`, so such a name shares its
/// file with another; `DEFAULT` is the file of all who have none; `UNDEF` is a handshake that has no name yet.
pub fn file_name(name: &UserName) -> Result<&str, Refused> {
    let raw = name.raw();
    let why = if raw.contains('/') {
        "holds `/`, for which OpenVPN writes `_`: the file may be another client's"
    } else if matches!(raw, "." | "..") {
        "is a directory"
    } else if raw == "DEFAULT" {
        "is the file of every client that has none of its own"
    } else if raw == "UNDEF" {
        "is what OpenVPN calls a client that has not shown its certificate"
    } else if raw.len() > 200 {
        "is too long for a file"
    } else {
        return Ok(raw);
    };
    Err(Refused { kind: "common name", shown: name.to_string().chars().take(40).collect(), why })
}

/// A line that OpenVPN does not obey. `None` for a text that could end it.
pub fn comment(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.: ".contains(&b));
    fits.then(|| format!("# {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_as_the_manual_writes_them() {
        assert_eq!(Command::Status.line(), "status 3\n");
        assert_eq!(Command::ClientKill { cid: 7 }.line(), "client-kill 7 HALT\n");
    }

    #[test]
    fn a_file_is_one_clients() {
        let name = |text: &str| UserName::new(text).unwrap();
        assert_eq!(file_name(&name("anna berg@corp")).unwrap(), "anna berg@corp");
        for bad in ["..", ".", "DEFAULT", "UNDEF", "../../etc/cron.d/x", "a/b", &"x".repeat(201)] {
            assert!(file_name(&name(bad)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_a_second_line(text in "[\\x00-\\x7f]{0,12}|\\PC{0,12}", cid in any::<u64>()) {
            if let Some(line) = password(&text) {
                prop_assert_eq!(line.find(['\n', '\r']), Some(line.len() - 1));
            }
            for command in [Command::Status, Command::ClientKill { cid }, Command::Quit] {
                let line = command.line();
                prop_assert_eq!(line.find(['\n', '\r']), Some(line.len() - 1));
            }
            if let Some(line) = comment(&text) {
                prop_assert!(!line.contains(['\n', '\r']));
            }
        }

        #[test]
        fn no_name_leaves_the_directory(text in "(\\.{1,2}|/|[a-z]|\\\\|\n|\u{0}){0,8}|\\PC{0,12}") {
            if let Ok(name) = UserName::new(text.clone())
                && let Ok(file) = file_name(&name)
            {
                prop_assert_eq!(file, text.as_str());
                let path = std::path::Path::new("/ccd").join(file);
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("/ccd")));
                prop_assert!(!file.contains(['\n', '\r', '\0']));
            }
        }
    }
}
