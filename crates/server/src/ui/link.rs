//! Where pages and forms are. Names of others are percent-encoded here and nowhere else.

/// All but the unreserved characters of RFC 3986 encoded: fits a path and a query.
pub fn encode(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// A path with the parameters that are not empty.
pub fn query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in parameters.iter().filter(|(_, v)| !v.is_empty()) {
        out.push(if out.len() == path.len() { '?' } else { '&' });
        out.push_str(&format!("{name}={}", encode(value)));
    }
    out
}

pub fn case(number: impl std::fmt::Display) -> String {
    format!("/cases/{number}")
}

/// Where the forms of a plan of containment lead.
pub fn plan(number: impl std::fmt::Display, digest: impl AsRef<str>) -> String {
    format!("{}/plans/{}", case(number), encode(digest))
}

/// Names of webhooks are words of the configuration.
pub fn webhook(name: impl AsRef<str>) -> String {
    format!("/webhooks/{}", encode(name))
}

/// A user, an address, a device or a gateway: `/users/anna`. A name of dots alone would be taken for a folder, so the
/// name is a parameter there.
pub fn entity(kind: &str, name: impl AsRef<str>) -> String {
    let name = name.as_ref();
    if name.bytes().all(|b| b == b'.') {
        return query(&format!("/{kind}"), &[("name", name)]);
    }
    format!("/{kind}/{}", encode(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_belong() {
        assert_eq!(entity("users", "a/../b?c#d\"<"), "/users/a%2F..%2Fb%3Fc%23d%22%3C");
        assert_eq!(entity("users", ".."), "/users?name=..");
        assert_eq!(query("/queue", &[("q", "a&b"), ("owner", ""), ("case", "7")]), "/queue?q=a%26b&case=7");
    }
}
