//! Zone and theme of a browser: two cookies, set by a form of every page. They hold no secret and change nothing else.

use super::shell::{Theme, Zone};
use axum::Router;
use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use serde::Deserialize;

const YEAR_S: u32 = 365 * 86_400;

/// What the cookies say; what they do not say is as by default.
pub fn of(headers: &HeaderMap) -> (Zone, Theme) {
    let (mut zone, mut theme) = (Zone::default(), Theme::default());
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    for (name, value) in lines.flat_map(|l| l.split(';')).filter_map(|c| c.trim().split_once('=')) {
        match (name, value) {
            ("zone", value) => zone = zone_by_id(value).unwrap_or_default(),
            ("theme", value) => theme = theme_by_id(value).unwrap_or_default(),
            _ => {}
        }
    }
    (zone, theme)
}

fn zone_by_id(id: &str) -> Option<Zone> {
    match id {
        "utc" => Some(Zone::Utc),
        "mine" => Some(Zone::Mine),
        "theirs" => Some(Zone::Theirs),
        _ => None,
    }
}

fn theme_by_id(id: &str) -> Option<Theme> {
    [Theme::System, Theme::Light, Theme::Dark].into_iter().find(|t| t.id() == id)
}

/// `POST /preferences`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/preferences", post(set))
}

#[derive(Deserialize)]
struct Wanted {
    zone: Option<String>,
    theme: Option<String>,
    #[serde(default)]
    back: String,
}

async fn set(Form(wanted): Form<Wanted>) -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    let zone = wanted.zone.filter(|z| zone_by_id(z).is_some()).map(|z| ("zone", z));
    let theme = wanted.theme.filter(|t| theme_by_id(t).is_some()).map(|t| ("theme", t));
    for (name, value) in zone.into_iter().chain(theme) {
        let cookie = format!("{name}={value}; Path=/; Max-Age={YEAR_S}; SameSite=Strict; HttpOnly");
        headers.append(header::SET_COOKIE, cookie.parse().expect("words of ours"));
    }
    let back = if is_ours(&wanted.back) { wanted.back } else { "/".to_owned() };
    headers.insert(header::LOCATION, back.parse().expect("visible ASCII"));
    (StatusCode::SEE_OTHER, headers)
}

/// Is it an address on this server? `//host` and `/\host` lead elsewhere.
pub fn is_ours(back: &str) -> bool {
    let mut bytes = back.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && back.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_leads_nowhere_else() {
        for ours in ["/", "/queue?q=a%20b&case=7", "/cases/7#notes"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["", "queue", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/ä"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn cookies_are_read_leniently() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "session=x; zone=mine;theme=dark; =; b".parse().expect("a value"));
        assert_eq!(of(&headers), (Zone::Mine, Theme::Dark));
        headers.insert(header::COOKIE, "zone=<script>".parse().expect("a value"));
        assert_eq!(of(&headers), (Zone::Utc, Theme::System));
    }
}
