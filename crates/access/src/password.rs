//! Passwords: Argon2id, a length, and a refusal of what is guessed first.
//!
//! [`Passwords::hash`] and [`Passwords::check`] take tens of milliseconds and 19 MiB on purpose: an asynchronous caller
//! runs them on a thread of their own, and lets [`crate::limit`] decide first whether they run at all.
//!
//! Parameters: OWASP Password Storage Cheat Sheet (Argon2id, 19 MiB, two passes, one lane). Length and the absence of
//! rules about digits and signs: NIST SP 800-63B, 5.1.1.2.

use crate::draw::{NoRandomness, draw};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;

pub const SHORTEST_CHARS: usize = 12;
pub const LONGEST_BYTES: usize = 1024;

/// What a hash costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for Cost {
    fn default() -> Cost {
        Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// Why a password is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PasswordFault {
    #[error("the password has fewer than {SHORTEST_CHARS} characters; a few words make a good one")]
    Short,
    #[error("the password has more than {LONGEST_BYTES} bytes")]
    Long,
    #[error("the password is the name of the account, or little more")]
    IsName,
    #[error("the password is one of those that are tried first, or a pattern; a few words make a good one")]
    Common,
    #[error("the cost of password hashing is out of bounds: {0}")]
    Cost(String),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The answer to a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    Wrong,
    Right {
        /// The stored hash was made at another cost: hash the password again and store that.
        stale: bool,
    },
}

/// Hashes and checks at one cost.
pub struct Passwords {
    argon2: Argon2<'static>,
    cost: Cost,
    /// The hash of what nobody knows, so that a name that does not exist costs as much as one that does.
    nobody: String,
}

impl Passwords {
    pub fn new(cost: Cost) -> Result<Passwords, PasswordFault> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|e| PasswordFault::Cost(e.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash_with(&argon2, &draw::<32>()?)?;
        Ok(Passwords { argon2, cost, nobody })
    }

    /// A new password of the account `name`, as it is stored (PHC string).
    pub fn hash(&self, name: &str, password: &str) -> Result<String, PasswordFault> {
        acceptable(name, password)?;
        hash_with(&self.argon2, password.as_bytes())
    }

    /// Is it the password? `stored` is `None` where there is no such account, where it has no password and where it is
    /// disabled; the answer is then `Wrong`, after the same work.
    pub fn check(&self, stored: Option<&str>, password: &str) -> Check {
        // Long ones are turned away before any work, whether or not the account exists.
        if password.is_empty() || password.len() > LONGEST_BYTES {
            return Check::Wrong;
        }
        let stored = stored.and_then(|s| PasswordHash::new(s).ok()).filter(is_argon2id);
        let Some(hash) = stored else {
            let nobody = PasswordHash::new(&self.nobody).expect("made by hash_with");
            // Right for nobody is wrong for everybody.
            std::hint::black_box(self.argon2.verify_password(password.as_bytes(), &nobody).is_ok());
            return Check::Wrong;
        };
        if self.argon2.verify_password(password.as_bytes(), &hash).is_err() {
            return Check::Wrong;
        }
        let cost = Params::try_from(&hash).ok().map(|p| Cost {
            memory_kib: p.m_cost(),
            passes: p.t_cost(),
            lanes: p.p_cost(),
        });
        Check::Right { stale: cost != Some(self.cost) }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("cost", &self.cost).finish_non_exhaustive()
    }
}

fn hash_with(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, PasswordFault> {
    let salt: [u8; 16] = draw()?;
    argon2
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|e| PasswordFault::Cost(e.to_string()))
}

fn is_argon2id(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str() == "argon2id"
}

/// May this become a password of the account `name`?
pub fn acceptable(name: &str, password: &str) -> Result<(), PasswordFault> {
    if password.len() > LONGEST_BYTES {
        return Err(PasswordFault::Long);
    }
    if password.chars().count() < SHORTEST_CHARS {
        return Err(PasswordFault::Short);
    }
    let unit = unit(password);
    let core = core(unit);
    // The part before the @ is a name, too.
    let own = [name, name.split('@').next().unwrap_or(name)];
    if own.iter().any(|n| !n.is_empty() && (core == self::core(n) || n.to_lowercase() == unit.to_lowercase()))
    {
        return Err(PasswordFault::IsName);
    }
    let few = unit.chars().count() < 4;
    if few || core.is_empty() || is_run(unit) || COMMON.contains(&core.as_str()) {
        return Err(PasswordFault::Common);
    }
    Ok(())
}

/// What a text repeats: `abcabcabcabc` is `abc`.
fn unit(text: &str) -> &str {
    let n = text.len();
    (1..=n / 2)
        .filter(|len| n.is_multiple_of(*len) && text.is_char_boundary(*len))
        .find(|len| text.as_bytes().chunks(*len).all(|c| c == &text.as_bytes()[..*len]))
        .map_or(text, |len| &text[..len])
}

/// `P@ssw0rd2026!` is `password`: small letters, the usual replacements undone, no digits and signs around it.
fn core(text: &str) -> String {
    let trimmed = text.to_lowercase();
    let trimmed = trimmed.trim_matches(|c: char| !c.is_alphabetic() && !matches!(c, '@' | '$'));
    trimmed
        .chars()
        .filter_map(|c| match c {
            '@' | '4' => Some('a'),
            '$' | '5' => Some('s'),
            '0' => Some('o'),
            '1' | '!' => Some('i'),
            '3' => Some('e'),
            '7' => Some('t'),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}

/// Neighbours all the way, on the keyboard or in the alphabet: `qwertyuiop[]`, `abcdefghijkl`, `zyxwvutsrqpo`.
fn is_run(text: &str) -> bool {
    const LINES: [&str; 6] = [
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890123456789",
        "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
        "qwertzuiopasdfghjklyxcvbnm",
        "azertyuiopqsdfghjklmwxcvbn",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    ];
    let text = text.to_lowercase();
    let back: String = text.chars().rev().collect();
    LINES.iter().any(|line| line.contains(&text) || line.contains(&back))
}

/// The cores of the passwords that lists of leaked ones begin with, and of those that a product like this one invites.
const COMMON: [&str; 112] = [
    "password",
    "passwort",
    "motdepasse",
    "contrasena",
    "wachtwoord",
    "passw",
    "pass",
    "passwd",
    "passphrase",
    "letmein",
    "letmeinnow",
    "welcome",
    "welcomeback",
    "willkommen",
    "bienvenue",
    "qwerty",
    "qwertz",
    "azerty",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfgh",
    "asdfghjkl",
    "zxcvbn",
    "zxcvbnm",
    "qazwsx",
    "qazwsxedc",
    "abc",
    "abcd",
    "abcdef",
    "abcabc",
    "iloveyou",
    "iloveu",
    "ichliebedich",
    "sunshine",
    "princess",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "basketball",
    "soccer",
    "fussball",
    "hockey",
    "master",
    "superman",
    "batman",
    "spiderman",
    "pokemon",
    "starwars",
    "shadow",
    "michael",
    "jennifer",
    "jessica",
    "ashley",
    "daniel",
    "thomas",
    "charlie",
    "jordan",
    "hunter",
    "killer",
    "trustno",
    "whatever",
    "freedom",
    "secret",
    "topsecret",
    "geheim",
    "hello",
    "helloworld",
    "hallo",
    "hallowelt",
    "login",
    "loginlogin",
    "admin",
    "administrator",
    "adminadmin",
    "administrateur",
    "root",
    "toor",
    "rootroot",
    "user",
    "guest",
    "test",
    "testtest",
    "testing",
    "demo",
    "default",
    "changeme",
    "changemenow",
    "changeit",
    "temp",
    "temporary",
    "service",
    "security",
    "operator",
    "analyst",
    "soc",
    "portreeve",
    "computer",
    "internet",
    "google",
    "microsoft",
    "windows",
    "summer",
    "winter",
    "spring",
    "autumn",
    "sommer",
    "january",
    "december",
    "correcthorsebatterystaple",
    "thisisapassword",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Cheap, since what is tested is not the cost.
    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn right_wrong_and_stale() {
        let passwords = Passwords::new(CHEAP).unwrap();
        let stored = passwords.hash("anna", "four words are enough").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(passwords.check(Some(&stored), "four words are enough"), Check::Right { stale: false });
        assert_eq!(passwords.check(Some(&stored), "four words are enougH"), Check::Wrong);
        assert_ne!(stored, passwords.hash("anna", "four words are enough").unwrap(), "each has its own salt");
        let dearer = Passwords::new(Cost { passes: 2, ..CHEAP }).unwrap();
        assert_eq!(dearer.check(Some(&stored), "four words are enough"), Check::Right { stale: true });
        let again = dearer.hash("anna", "four words are enough").unwrap();
        assert_eq!(dearer.check(Some(&again), "four words are enough"), Check::Right { stale: false });
    }

    #[test]
    fn nobody_has_no_password() {
        let passwords = Passwords::new(CHEAP).unwrap();
        for stored in [None, Some(""), Some("x"), Some("$argon2id$v=19$m=64,t=1,p=1$"), Some("$1$abc$def")] {
            for password in ["", "four words are enough"] {
                assert_eq!(passwords.check(stored, password), Check::Wrong, "{stored:?}");
            }
        }
        let stored = passwords.hash("anna", "four words are enough").unwrap();
        assert_eq!(passwords.check(Some(&stored), ""), Check::Wrong);
        assert_eq!(passwords.check(Some(&stored), &"x".repeat(1025)), Check::Wrong);
        // A weaker member of the family is not taken in its place.
        let weaker = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let weaker = hash_with(&weaker, b"four words are enough").unwrap();
        assert!(weaker.starts_with("$argon2i$"), "{weaker}");
        assert_eq!(passwords.check(Some(&weaker), "four words are enough"), Check::Wrong);
    }

    #[test]
    fn the_work_for_nobody_is_the_same_work() {
        let passwords = Passwords::new(Cost::default()).unwrap();
        let stored = hash_with(&passwords.argon2, b"x").unwrap();
        let cost = |text: &str| {
            let hash = PasswordHash::new(text).unwrap();
            (hash.algorithm, hash.version, hash.params.to_string(), hash.hash.map(|h| h.len()))
        };
        assert_eq!(cost(&stored), cost(&passwords.nobody));
        assert!(stored.contains("m=19456,t=2,p=1"));
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        use PasswordFault::{Common, IsName, Long, Short};
        let check = |password: &str, fault: Option<PasswordFault>| {
            assert_eq!(acceptable("anna.berg@example.org", password).err(), fault, "{password}");
        };
        check("short", Some(Short));
        check("elevenchars", Some(Short));
        check("éééééééééééé1", None);
        check(&"long".repeat(257), Some(Long));
        check("anna.berg2026!", Some(IsName));
        check("anna.berg@example.org", Some(IsName));
        check("Anna.Berg@Example.org", Some(IsName));
        check("annabergannaberg", Some(IsName));
        for common in [
            "password1234",
            "P@ssw0rd2026!",
            "passwordpassword",
            "Welcome123456",
            "aaaaaaaaaaaaa",
            "abcabcabcabc",
            "123456789012",
            "012345678901",
            "qwertyuiop[]",
            "abcdefghijklm",
            "lkjihgfedcba",
            "1qaz2wsx3edc4rfv",
            "!!!!!!2026!!!!!!",
            "Administrator1",
            "ChangeMe!!!!!!",
            "Portreeve2026",
            "correct horse battery staple",
        ] {
            check(common, Some(Common));
        }
        check("four words are enough", None);
        check("password of the harbour", None);
        check("xkq7-93hd-ppw2", None);
        assert_eq!(acceptable("", "four words are enough"), Ok(()), "no name is no match");
    }

    #[test]
    fn the_list_is_of_cores() {
        for common in COMMON {
            assert_eq!(core(common), common, "can never match");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(name in "\\PC{0,20}", password in "\\PC{0,40}") {
            let judged = acceptable(&name, &password);
            if password.chars().count() < SHORTEST_CHARS {
                prop_assert_eq!(judged, Err(PasswordFault::Short));
            }
        }

        #[test]
        fn the_name_is_never_its_own_password(name in "[a-z]{12,30}") {
            prop_assert!(acceptable(&name, &name).is_err());
            prop_assert!(acceptable(&name, &name.to_uppercase()).is_err());
            let tail = format!("{name}1!");
            prop_assert!(acceptable(&name, &tail).is_err());
        }
    }
}
