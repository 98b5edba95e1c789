//! Names that are markup, in every field of every page: what leaves holds only the markup that an innocent name gives.

use super::fixture::{PLAIN, pages};
use portreeve_model::untrusted::is_obeyed;

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" autofocus onfocus=alert(1) x=\"",
    "javascript:alert(1)",
    "</title></textarea></pre><svg/onload=alert(1)>",
    "&lt;b&gt;&#x3c;",
    "a\u{202e}gnp.exe\u{200b}\u{1b}[31m",
    "{{ 7 * 7 }} {% raw %} ${x}",
];

/// The markup alone: tags with the names of their attributes, in order. Values and text are left out.
fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut tag = String::new();
        let mut quoted = false;
        let mut end = rest.len();
        for (i, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = i;
                    break;
                }
                _ if !quoted => tag.push(c),
                _ => {}
            }
        }
        rest = &rest[end..];
        tags.push(tag);
    }
    tags
}

#[test]
fn a_name_is_never_markup() {
    let plain = pages(PLAIN);
    for name in HOSTILE {
        for ((page, text), (_, innocent)) in pages(name).iter().zip(&plain) {
            assert!(!text.chars().any(|c| is_obeyed(c) && c != '\n' && c != '\t'), "{page}: {name:?}");
            let tags = skeleton(text);
            for tag in &tags {
                assert!(tag.split_whitespace().all(|w| !w.starts_with("on")), "{page}: <{tag}> by {name:?}");
                assert!(!tag.contains(" style="), "{page}: <{tag}>");
            }
            let (a, b) = (&tags, skeleton(innocent));
            if let Some(at) = (0..a.len().max(b.len())).find(|i| a.get(*i) != b.get(*i)) {
                panic!("{page}: with {name:?} tag {at} is {:?} and not {:?}", a.get(at), b.get(at));
            }
            for scheme in ["href=\"javascript", "action=\"javascript", "src=\"javascript", "href=\"data:"] {
                assert!(!text.contains(scheme), "{page}: {scheme}");
            }
        }
    }
}

#[test]
fn pages_have_no_script_or_style_of_their_own() {
    for (page, text) in pages(PLAIN) {
        for part in text.split("<script").skip(1) {
            assert!(part.starts_with(" type=\"module\" src=\"/assets/"), "{page}");
        }
        assert!(
            !text.contains("<style") && !text.contains("http://") && !text.contains("https://"),
            "{page}"
        );
    }
}
