//! What the connectors of endpoint products share: one device for a name, and a token for a client's secret.

use super::asked;
use crate::connector::Order;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::transport::http::{Body, Http, Method, Path, percent};
use serde_json::Value;

/// By what a device is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) host: Option<String>,
    pub(crate) id: Option<String>,
}

impl Wanted {
    pub(crate) fn of(order: &Order, product: &str) -> Result<Wanted, Fault> {
        let device = asked::device(order, product)?;
        let wanted = Wanted {
            host: device.host.as_ref().map(|h| h.raw().to_owned()),
            id: device.id.as_ref().map(|i| i.raw().to_owned()),
        };
        if wanted.host.is_none() && wanted.id.is_none() {
            return Err(Fault::Refused(format!(
                "{product}: the order names neither a host nor an id of a device, and the fleet is never meant"
            )));
        }
        Ok(wanted)
    }

    /// The one device that answers to all that is named. Host names are compared whole and without case.
    pub(crate) fn one<T>(&self, found: Vec<T>, of: impl Fn(&T) -> (&str, &str)) -> Result<T, Fault> {
        let mut fits: Vec<T> = found
            .into_iter()
            .filter(|device| {
                let (id, host) = of(device);
                self.id.as_ref().is_none_or(|w| w == id)
                    && self.host.as_ref().is_none_or(|w| w.eq_ignore_ascii_case(host))
            })
            .collect();
        if fits.len() > 1 {
            let ids: Vec<&str> = fits.iter().map(|d| of(d).0).collect();
            let ids = portreeve_model::untrusted::escape_for_terminal(&ids.join(", "));
            return Err(Fault::Ambiguous(format!("{self} answers to {ids}")));
        }
        fits.pop().ok_or_else(|| Fault::NotFound(format!("no device {self}")))
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = [&self.host, &self.id].into_iter().flatten().map(String::as_str).collect();
        f.write_str(&words.join(" with id "))
    }
}

/// The id that the plan resolved the name to. What is sent names it and nothing else.
pub(crate) fn id_of(seen: &crate::connector::Seen) -> Result<&str, Fault> {
    match seen.ids.as_slice() {
        [id] if !id.is_empty() => Ok(id),
        _ => Err(Fault::Config("the plan does not hold exactly one device".into())),
    }
}

/// A token for a client's secret (OAuth 2.0, client credentials). Changes nothing, whatever becomes of it.
pub(crate) fn token(http: &Http, path: &Path, form: &[(&str, &str)]) -> Result<Secret, Fault> {
    let mut text = zeroize::Zeroizing::new(String::new());
    for (name, value) in form {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        percent(&mut text, value);
    }
    let body = Body::Text("application/x-www-form-urlencoded", &text);
    let answer = http.change(Method::Post, path, &body).map_err(asked::unsent)?;
    let answer = answer.done().map_err(|fault| match fault {
        // 400 invalid_client, 401 and 403 alike.
        Fault::Refused(why) | Fault::Credential(why) => Fault::Credential(why),
        other => asked::unsent(other),
    })?;
    let token = answer.json().map_err(asked::unsent)?;
    let token = token.get("access_token").and_then(Value::as_str).filter(|t| !t.is_empty());
    token.map(Secret::new).ok_or_else(|| Fault::Credential("the answer holds no access_token".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(host: Option<&str>, id: Option<&str>) -> Result<(&'static str, &'static str), Fault> {
        let wanted = Wanted { host: host.map(str::to_owned), id: id.map(str::to_owned) };
        let all = vec![("1", "laptop"), ("2", "laptop-2"), ("3", "Twin"), ("4", "twin")];
        wanted.one(all, |d| (d.0, d.1))
    }

    #[test]
    fn a_name_is_one_device_or_an_error() {
        assert_eq!(one(Some("LAPTOP"), None).unwrap().0, "1");
        assert_eq!(one(Some("twin"), Some("4")).unwrap().0, "4");
        assert!(matches!(one(Some("twin"), None), Err(Fault::Ambiguous(_))));
        assert!(matches!(one(Some("lap"), None), Err(Fault::NotFound(_))));
        assert!(matches!(one(Some("laptop"), Some("2")), Err(Fault::NotFound(_))));
    }
}
