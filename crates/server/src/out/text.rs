//! Words of logs on their way into other people's products. Names, titles and reasons may hold what an intruder wrote;
//! each product has its own markup, and its own encoder here.

use portreeve_model::untrusted::escape_for_terminal;

/// One line without anything that is obeyed instead of shown (control characters, direction marks), of so many characters
/// at most.
pub(crate) fn line(text: &str, most: usize) -> String {
    let shown = escape_for_terminal(text.trim());
    if shown.chars().count() <= most {
        return shown;
    }
    let mut cut: String = shown.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Slack's three: without them nothing is a link, a mention or a channel.
pub(crate) fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// CommonMark: every sign that could mean something has a backslash before it, which is allowed before each of them.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// ServiceNow's journal fields render what stands between `[code]` and `[/code]` as HTML.
pub(crate) fn servicenow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let tail = from[1..].trim_start_matches('/').trim_start();
        let is_code = tail.get(..4).is_some_and(|t| t.eq_ignore_ascii_case("code"));
        out.push_str(if is_code { "[ " } else { "[" });
        rest = &from[1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_nothing_that_is_obeyed() {
        assert_eq!(line(" anna\r\nSubject: x\u{202e} ", 80), "anna\\u{d}\\u{a}Subject: x\\u{202e}");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("", 4), "");
    }

    #[test]
    fn markup_is_shown_and_not_meant() {
        assert_eq!(
            slack("<!channel> & <https://evil.example|anna>"),
            "&lt;!channel&gt; &amp; &lt;https://evil.example|anna&gt;"
        );
        assert_eq!(
            markdown("[a](http://x) *b* `c` <i>"),
            "\\[a\\]\\(http\\:\\/\\/x\\) \\*b\\* \\`c\\` \\<i\\>"
        );
        assert_eq!(
            servicenow("a[code]<b>[/code] [Code] [x] [/ CODE]"),
            "a[ code]<b>[ /code] [ Code] [x] [ / CODE]"
        );
    }
}
