//! Style, scripts and the map's outline: in the program, named by their content, so that a browser keeps them for good.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

struct Asset {
    stem: &'static str,
    end: &'static str,
    mime: &'static str,
    bytes: &'static [u8],
    /// `/assets/queue.0a1b2c3d4e5f6071.js`.
    path: String,
}

const JS: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |stem, end, mime, bytes: &'static [u8]| {
        let hash: String = Sha256::digest(bytes).iter().take(8).map(|b| format!("{b:02x}")).collect();
        Asset { stem, end, mime, bytes, path: format!("/assets/{stem}.{hash}.{end}") }
    };
    vec![
        asset("page", "css", "text/css; charset=utf-8", STYLE.as_bytes()),
        asset("keys", "js", JS, include_bytes!("../../assets/keys.js")),
        asset("live", "js", JS, include_bytes!("../../assets/live.js")),
        asset("drawer", "js", JS, include_bytes!("../../assets/drawer.js")),
        asset("passkey", "js", JS, include_bytes!("../../assets/passkey.js")),
        asset("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
        asset("world", "svg", "image/svg+xml", WORLD.as_bytes()),
    ]
});

pub(super) const STYLE: &str = include_str!("../../assets/page.css");

/// Grey that shows on light and on dark.
static WORLD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 360\"><path fill=\"#7f8a94\" fill-opacity=\".35\" \
         d=\"{}\"/></svg>",
        portreeve_report::WORLD
    )
});

/// Where an asset is.
pub(super) fn at(name: &str) -> &'static str {
    let found =
        ASSETS.iter().find(|a| name.strip_prefix(a.stem).is_some_and(|n| n.strip_prefix('.') == Some(a.end)));
    &found.expect("a test renders every page, and a name that is none fails there").path
}

/// `GET /assets/{name}`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|a| a.path.strip_prefix("/assets/") == Some(&name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut headers = HeaderMap::new();
    for (key, value) in [
        (header::CONTENT_TYPE, asset.mime),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        headers.insert(key, HeaderValue::from_static(value));
    }
    (headers, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn named_by_content_with_its_type() {
        for a in ASSETS.iter() {
            let name = a.path.strip_prefix("/assets/").expect("a path").to_owned();
            let answer = asset(Path(name)).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[header::CONTENT_TYPE], a.mime);
        }
        assert_eq!(asset(Path("page.css".into())).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for a in ASSETS.iter() {
            let text = std::str::from_utf8(a.bytes).expect("text").replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http:") && !text.contains("https:") && !text.contains("@import"),
                "{}",
                a.path
            );
            assert!(!text.contains("eval(") && !text.contains("innerHTML"), "{}", a.path);
        }
    }
}
