//! What connectors share that end sessions: which sessions at the device an order means, and whether they are gone.

use crate::connector::{Ack, Effect, Seen};
use crate::fault::Fault;
use crate::target::{Stay, Target};
use crate::value::Net;
use serde::{Deserialize, Serialize};

/// One session as a device lists it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    /// What the request that ends it names.
    pub(crate) id: String,
    pub(crate) user: String,
    /// The Windows domain or realm of the user, as the device tells it; empty where it tells none.
    #[serde(default)]
    pub(crate) domain: String,
    #[serde(default)]
    pub(crate) public: Option<Net>,
    #[serde(default)]
    pub(crate) inner: Option<Net>,
    /// When it began, in the device's own words: tells a session from a later one with the same id.
    #[serde(default)]
    pub(crate) since: String,
    /// What else the request needs: a gateway, a computer.
    #[serde(default)]
    pub(crate) at: Vec<String>,
}

impl Session {
    /// `CORP\anna` and `anna@corp.example` are taken apart where the device tells no domain beside the name.
    pub(crate) fn new(id: impl Into<String>, user: &str) -> Session {
        let (user, domain) = apart(user);
        Session { id: id.into(), user: user.to_owned(), domain: domain.to_owned(), ..Session::default() }
    }

    fn shown(&self) -> String {
        let mut text = format!("{} of {}", self.id, self.whose());
        if let Some(public) = self.public {
            text.push_str(&format!(" from {public}"));
        }
        if let Some(inner) = self.inner {
            text.push_str(&format!(" holding {inner}"));
        }
        portreeve_model::untrusted::escape_for_terminal(&text)
    }

    fn whose(&self) -> String {
        if self.domain.is_empty() { self.user.clone() } else { format!("{}\\{}", self.domain, self.user) }
    }
}

/// A name and its domain.
fn apart(name: &str) -> (&str, &str) {
    if let Some((domain, user)) = name.split_once('\\') {
        return (user, domain);
    }
    name.split_once('@').unwrap_or((name, ""))
}

/// The sessions that the order means. Names are compared whole: `anna` is not `joanna`, and `CORP\anna` is not `anna`.
pub(crate) fn meant(stay: &Stay, all: &[Session]) -> Result<Vec<Session>, Fault> {
    let user = stay.user.as_ref().map(|u| apart(u.raw()));
    let mut found: Vec<Session> = all
        .iter()
        .filter(|s| {
            user.is_none_or(|(name, domain)| {
                s.user == name && (domain.is_empty() || s.domain.eq_ignore_ascii_case(domain))
            }) && stay.id.as_ref().is_none_or(|id| id.raw() == s.id)
                && stay.inner.is_none_or(|net| s.inner == Some(net))
                && stay.public.is_none_or(|net| s.public.is_none() || s.public == Some(net))
        })
        .cloned()
        .collect();
    found.sort();
    let mut people: Vec<String> = found.iter().map(Session::whose).collect();
    people.dedup();
    if user.is_some() && people.len() > 1 {
        let names = portreeve_model::untrusted::escape_for_terminal(&people.join(", "));
        return Err(Fault::Ambiguous(format!("{} answers to {names}", Target::Session(stay.clone()))));
    }
    Ok(found)
}

/// What the approver sees: the sessions that would end, and those of the same people that would not.
pub(crate) fn seen(stay: &Stay, all: &[Session]) -> Result<Seen, Fault> {
    let found = meant(stay, all)?;
    if found.is_empty() {
        let alike = stay.user.as_ref().map(|u| {
            let near: Vec<String> =
                all.iter().filter(|s| s.user == apart(u.raw()).0).map(Session::whose).collect();
            if near.is_empty() {
                String::new()
            } else {
                format!("; there are sessions of {}", near.join(", "))
            }
        });
        return Err(Fault::NotFound(format!(
            "no {} among {}{}",
            Target::Session(stay.clone()),
            all.len(),
            portreeve_model::untrusted::escape_for_terminal(&alike.unwrap_or_default())
        )));
    }
    let shown: Vec<String> = found.iter().map(Session::shown).collect();
    Ok(Seen {
        ids: found.iter().map(|s| s.id.clone()).collect(),
        in_force: false,
        before: serde_json::to_value(&found).map_err(|e| Fault::Garbled(e.to_string()))?,
        says: format!("{} session(s): {}", found.len(), shown.join("; ")),
        also_hits: Vec::new(),
    })
}

/// The sessions that the approver saw.
pub(crate) fn approved(seen: &Seen) -> Result<Vec<Session>, Fault> {
    serde_json::from_value(seen.before.clone())
        .map_err(|e| Fault::Config(format!("the plan holds no sessions: {e}")))
}

/// Of the approved sessions those that still are the same: an id that was given to somebody else meanwhile is left.
pub(crate) fn still(seen: &Seen, all: &[Session]) -> Result<Vec<Session>, Fault> {
    Ok(approved(seen)?.into_iter().filter(|s| all.contains(s)).collect())
}

/// Ends each. After the first that was sent, a refusal is no longer "nothing was changed".
pub(crate) fn each(
    sessions: &[Session],
    mut end: impl FnMut(&Session) -> Result<(), Fault>,
) -> Result<Ack, Fault> {
    for (sent, session) in sessions.iter().enumerate() {
        match end(session) {
            // Gone between the list and the request.
            Ok(()) | Err(Fault::NotFound(_)) => {}
            Err(fault) if sent == 0 || fault.may_have_acted() => return Err(fault),
            Err(fault) => {
                return Err(Fault::Lost(format!(
                    "{sent} of {} sessions were ended, then: {fault}",
                    sessions.len()
                )));
            }
        }
    }
    Ok(match sessions.len() {
        0 => Ack::says("the sessions were gone already"),
        n => Ack::says(format!("the device took the end of {n} session(s)")),
    })
}

/// Does a session of the order stand, be it one that was ended or one that came back?
pub(crate) fn verdict(stay: &Stay, seen: &Seen, all: &[Session]) -> Effect {
    let standing = match meant(stay, all) {
        Ok(standing) => standing,
        Err(fault) => return Effect::unread(&fault),
    };
    if standing.is_empty() {
        return Effect::Effective(format!("none of its sessions is among the {} that are listed", all.len()));
    }
    let old = approved(seen).unwrap_or_default();
    let (same, new): (Vec<&Session>, Vec<&Session>) = standing.iter().partition(|s| old.contains(s));
    let list = |s: &[&Session]| s.iter().map(|s| s.shown()).collect::<Vec<_>>().join("; ");
    Effect::NotEffective(match (same.is_empty(), new.is_empty()) {
        (false, true) => format!("still there: {}", list(&same)),
        (true, _) => format!("came back: {}", list(&new)),
        (false, false) => format!("still there: {}; came back: {}", list(&same), list(&new)),
    })
}

/// Why a session is not brought back.
pub(crate) fn cannot_return() -> Fault {
    Fault::Unsupported("a session that ended cannot be brought back; its user signs in again".into())
}

pub(crate) fn never_undone() -> Effect {
    Effect::NotEffective("a session that ended cannot be brought back".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::UserName;

    fn of(user: &str) -> Stay {
        Stay::of_user(UserName::new(user).unwrap())
    }

    fn ids(stay: &Stay, all: &[Session]) -> Vec<String> {
        meant(stay, all).unwrap().into_iter().map(|s| s.id).collect()
    }

    #[test]
    fn a_name_means_itself_and_nobody_whose_name_holds_it() {
        let all = [
            Session::new("1", "anna"),
            Session::new("2", "joanna"),
            Session::new("3", "anna.berg"),
            Session::new("4", "anna"),
            Session::new("5", "ann*"),
        ];
        assert_eq!(ids(&of("anna"), &all), ["1", "4"]);
        assert_eq!(ids(&of("ann*"), &all), ["5"]);
        assert!(meant(&of("CORP\\anna"), &all).unwrap().is_empty());
        assert!(
            seen(&of("CORP\\anna"), &all).unwrap_err().to_string().contains("there are sessions of anna")
        );
    }

    #[test]
    fn two_people_of_one_name_are_not_one() {
        let all = [Session::new("1", "CORP\\anna"), Session::new("2", "lab\\anna")];
        assert!(matches!(meant(&of("anna"), &all), Err(Fault::Ambiguous(_))));
        assert_eq!(ids(&of("LAB\\anna"), &all), ["2"]);
        let one = Stay { id: Some("1".to_owned().try_into().unwrap()), ..Stay::default() };
        assert_eq!(ids(&one, &all), ["1"]);
    }

    #[test]
    fn an_id_that_went_to_another_is_left_and_one_that_came_back_is_told() {
        let mut anna = Session::new("7", "anna");
        anna.since = "10:00".into();
        let seen = seen(&of("anna"), std::slice::from_ref(&anna)).unwrap();
        let bert = Session::new("7", "bert");
        assert!(still(&seen, &[bert]).unwrap().is_empty());
        let mut later = anna.clone();
        later.since = "10:05".into();
        assert!(still(&seen, std::slice::from_ref(&later)).unwrap().is_empty());
        let Effect::NotEffective(why) = verdict(&of("anna"), &seen, &[later]) else { panic!() };
        assert!(why.starts_with("came back"), "{why}");
    }

    #[test]
    fn a_refusal_after_a_success_is_not_nothing() {
        let all = [Session::new("1", "a"), Session::new("2", "a")];
        let mut n = 0;
        let fault = each(&all, |_| {
            n += 1;
            if n == 1 { Ok(()) } else { Err(Fault::Refused("no".into())) }
        })
        .unwrap_err();
        assert!(fault.may_have_acted(), "{fault}");
    }
}
