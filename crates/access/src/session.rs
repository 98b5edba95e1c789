//! Sessions of people: a random token in a cookie, its digest in the store, two ways to end, and a second token that a
//! foreign page cannot know.

use crate::digest::Digest;
use crate::draw::{NoRandomness, draw, from_base64url, to_base64url};
use crate::keys::Key;
use std::fmt;
use zeroize::Zeroizing;

/// 256 random bits: what the cookie holds. Never stored, never logged.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What came with a cookie. What has not the form of a token is not looked up.
    pub fn parse(text: &str) -> Option<SessionToken> {
        (from_base64url(text)?.len() == 32).then(|| SessionToken(Zeroizing::new(text.to_owned())))
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

/// How long a session lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Without a request.
    pub idle_s: u32,
    /// In all.
    pub absolute_s: u32,
}

impl Default for Lifetimes {
    /// A long coffee, and a shift.
    fn default() -> Lifetimes {
        Lifetimes { idle_s: 60 * 60, absolute_s: 12 * 60 * 60 }
    }
}

/// What the store keeps of a session, besides whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    pub digest: Digest,
    pub created: i64,
    pub used: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Live,
    Idle,
    TooOld,
}

/// The clock of the machine may be set back a little while a session lives.
const CLOCK_SLACK_US: i64 = 300 * 1_000_000;

impl Session {
    /// After a successful sign-in; whatever token the browser came with is of no more use.
    pub fn begin(now: i64) -> Result<(SessionToken, Session), NoRandomness> {
        let token = SessionToken(Zeroizing::new(to_base64url(&draw::<32>()?)));
        let session = Session { digest: token.digest(), created: now, used: now };
        Ok((token, session))
    }

    /// A new token for the same session, when what the person may do has changed: roles, password, factors. The store
    /// replaces the old digest; the absolute end stays where it was.
    pub fn rotate(&self, now: i64) -> Result<(SessionToken, Session), NoRandomness> {
        let (token, fresh) = Session::begin(now)?;
        Ok((token, Session { created: self.created, ..fresh }))
    }

    pub fn standing(&self, lifetimes: Lifetimes, now: i64) -> Standing {
        let age = now.saturating_sub(self.created);
        let idle = now.saturating_sub(self.used);
        if age >= i64::from(lifetimes.absolute_s) * 1_000_000 || age < -CLOCK_SLACK_US {
            Standing::TooOld
        } else if idle >= i64::from(lifetimes.idle_s) * 1_000_000 || idle < -CLOCK_SLACK_US {
            Standing::Idle
        } else {
            Standing::Live
        }
    }

    /// What the page sends with each request that changes something, in a header. It is bound to the session's token and
    /// changes with it.
    pub fn csrf(&self, key: &Key) -> String {
        to_base64url(&key.mac(&[b"csrf v1", self.digest.as_bytes()]))
    }

    pub fn csrf_matches(&self, key: &Key, given: &str) -> bool {
        from_base64url(given).is_some_and(|tag| key.verifies(&[b"csrf v1", self.digest.as_bytes()], &tag))
    }
}

/// Did a request that changes something come from a page of ours? `origins` are ours, as a browser writes them.
pub fn from_own_page(origin: Option<&str>, sec_fetch_site: Option<&str>, origins: &[String]) -> bool {
    let site = sec_fetch_site.is_none_or(|s| s == "same-origin" || s == "none");
    let origin = origin.is_some_and(|o| origins.iter().any(|own| own == o));
    site && origin
}

/// A cookie with its attributes.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    name: &'static str,
    value: Zeroizing<String>,
    secure: bool,
    same_site: SameSite,
    max_age_s: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SameSite {
    Strict,
    Lax,
}

/// Which of our cookies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jar {
    Session,
    /// What is kept while the browser is at an identity provider. It comes back from another site, which a strict cookie
    /// does not.
    SignIn,
}

impl Jar {
    /// Behind TLS with the prefix that makes browsers refuse it from anybody but this very host.
    pub fn name(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Jar::Session, true) => "__Host-portreeve",
            (Jar::Session, false) => "portreeve",
            (Jar::SignIn, true) => "__Host-portreeve-sign-in",
            (Jar::SignIn, false) => "portreeve-sign-in",
        }
    }
}

/// How long somebody may take at the identity provider.
pub const SIGN_IN_S: u32 = 600;

impl Cookie {
    /// `tls`: is the page served by https? Without, which is for loopback alone, browsers do not take `Secure`.
    pub fn session(token: &SessionToken, tls: bool) -> Cookie {
        Cookie {
            name: Jar::Session.name(tls),
            value: Zeroizing::new(token.expose().to_owned()),
            secure: tls,
            same_site: SameSite::Strict,
            max_age_s: None,
        }
    }

    /// `value` must be base64url.
    pub fn sign_in(value: &str, tls: bool) -> Cookie {
        Cookie {
            name: Jar::SignIn.name(tls),
            value: Zeroizing::new(value.to_owned()),
            secure: tls,
            same_site: SameSite::Lax,
            max_age_s: Some(SIGN_IN_S),
        }
    }

    pub fn removal(jar: Jar, tls: bool) -> Cookie {
        Cookie {
            name: jar.name(tls),
            value: Zeroizing::new(String::new()),
            secure: tls,
            same_site: SameSite::Strict,
            max_age_s: Some(0),
        }
    }

    /// The value of `Set-Cookie`.
    pub fn header(&self) -> String {
        let mut out = format!("{}={}; Path=/; HttpOnly", self.name, *self.value);
        out.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
        });
        if self.secure {
            out.push_str("; Secure");
        }
        if let Some(seconds) = self.max_age_s {
            out.push_str(&format!("; Max-Age={seconds}"));
        }
        out
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({}=***)", self.name)
    }
}

/// Our cookie among those that a browser sent. Two of one name are none: one of them was put there by somebody else.
pub fn read_cookie<'h>(headers: impl IntoIterator<Item = &'h str>, jar: Jar, tls: bool) -> Option<&'h str> {
    let name = jar.name(tls);
    let mut found = headers
        .into_iter()
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(n, _)| *n == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MasterKey, Purpose};

    const SECOND: i64 = 1_000_000;
    const NOW: i64 = 1_700_000_000 * SECOND;
    const TIMES: Lifetimes = Lifetimes { idle_s: 10, absolute_s: 100 };

    #[test]
    fn a_token_is_256_bits_and_only_its_digest_is_kept() {
        let (token, session) = Session::begin(NOW).unwrap();
        assert_eq!(token.expose().len(), 43);
        let again = SessionToken::parse(token.expose()).unwrap();
        assert_eq!(again.digest(), session.digest);
        assert_eq!(format!("{token:?}"), "SessionToken(***)");
        for text in ["", "x", &token.expose()[1..], &format!("{}A", token.expose()), "x y"] {
            assert!(SessionToken::parse(text).is_none(), "{text}");
        }
        assert_ne!(Session::begin(NOW).unwrap().1.digest, session.digest);
    }

    #[test]
    fn it_ends_by_idleness_and_by_age() {
        let (_, mut session) = Session::begin(NOW).unwrap();
        let at = |session: &Session, s: i64| session.standing(TIMES, NOW + s * SECOND);
        assert_eq!(at(&session, 9), Standing::Live);
        assert_eq!(at(&session, 10), Standing::Idle);
        session.used = NOW + 95 * SECOND;
        assert_eq!(at(&session, 99), Standing::Live);
        assert_eq!(at(&session, 100), Standing::TooOld);
        assert_eq!(at(&session, -206), Standing::Idle, "used long after now");
        assert_eq!(at(&Session { used: NOW, ..session }, -301), Standing::TooOld, "begun after now");
        assert_eq!(session.standing(TIMES, i64::MIN), Standing::TooOld);
    }

    #[test]
    fn a_new_token_does_not_prolong() {
        let (old_token, old) = Session::begin(NOW).unwrap();
        let (token, new) = old.rotate(NOW + 50 * SECOND).unwrap();
        assert_ne!(old.digest, new.digest);
        assert_ne!(old_token.expose(), token.expose());
        assert_eq!(new.created, NOW);
        assert_eq!(new.standing(TIMES, NOW + 100 * SECOND), Standing::TooOld);
    }

    #[test]
    fn a_form_is_bound_to_its_session() {
        let key = MasterKey::from_bytes([1; 32]).key(Purpose::Csrf);
        let (_, a) = Session::begin(NOW).unwrap();
        let (_, b) = Session::begin(NOW).unwrap();
        assert!(a.csrf_matches(&key, &a.csrf(&key)));
        assert!(!b.csrf_matches(&key, &a.csrf(&key)));
        assert!(!a.rotate(NOW).unwrap().1.csrf_matches(&key, &a.csrf(&key)));
        assert!(!a.csrf_matches(&key, ""));
        assert!(!a.csrf_matches(&MasterKey::from_bytes([2; 32]).key(Purpose::Csrf), &a.csrf(&key)));
    }

    #[test]
    fn only_our_own_page_changes_things() {
        let own = ["https://soc.example.org".to_owned()];
        let check = |origin, site| from_own_page(origin, site, &own);
        assert!(check(Some("https://soc.example.org"), Some("same-origin")));
        assert!(check(Some("https://soc.example.org"), None), "an older browser");
        assert!(!check(Some("https://soc.example.org"), Some("cross-site")));
        assert!(!check(Some("https://soc.example.org.evil.example"), None));
        assert!(!check(Some("null"), None));
        assert!(!check(None, Some("same-origin")));
    }

    #[test]
    fn cookies_have_their_attributes() {
        let (token, _) = Session::begin(NOW).unwrap();
        assert_eq!(
            Cookie::session(&token, true).header(),
            format!("__Host-portreeve={}; Path=/; HttpOnly; SameSite=Strict; Secure", token.expose())
        );
        assert_eq!(
            Cookie::session(&token, false).header(),
            format!("portreeve={}; Path=/; HttpOnly; SameSite=Strict", token.expose())
        );
        assert_eq!(
            Cookie::removal(Jar::Session, true).header(),
            "__Host-portreeve=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"
        );
        assert_eq!(
            Cookie::sign_in("abc", true).header(),
            "__Host-portreeve-sign-in=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"
        );
        assert!(!format!("{:?}", Cookie::session(&token, true)).contains(token.expose()));
    }

    #[test]
    fn our_cookie_is_read_and_a_second_one_spoils_it() {
        let read = |headers: &[&'static str]| read_cookie(headers.iter().copied(), Jar::Session, true);
        assert_eq!(read(&["a=b; __Host-portreeve=xyz; c=d"]), Some("xyz"));
        assert_eq!(read(&["a=b", "__Host-portreeve=xyz"]), Some("xyz"));
        assert_eq!(read(&["__Host-portreeve=x; __Host-portreeve=y"]), None);
        assert_eq!(read(&["portreeve=xyz"]), None, "not the one of plain http");
        assert_eq!(read(&["x__Host-portreeve=xyz; __host-portreeve=a"]), None);
        assert_eq!(read(&["", ";;;", "="]), None);
    }
}
