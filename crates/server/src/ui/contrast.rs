//! WCAG 2.2 AA: text 4.5 to 1 on every ground it stands on, borders of fields and drawn marks 3 to 1.

use super::assets::STYLE;

fn colours(start: &str) -> Vec<(String, [f64; 3])> {
    let block = STYLE.split(start).nth(1).expect("the block is there").split('}').next().expect("it ends");
    let pairs = block.split(';').filter_map(|d| d.trim().strip_prefix("--")?.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), rgb(value))).collect()
}

fn rgb(hex: &str) -> [f64; 3] {
    let hex = hex.strip_prefix('#').filter(|h| h.len() == 6).expect("six digits");
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")) / 255.0)
}

fn luminance(c: [f64; 3]) -> f64 {
    let [r, g, b] = c.map(|v| if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn ratio(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_and_borders_can_be_seen() {
    assert!((ratio([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    let light = colours(":root{");
    let dark = colours("dark){:root{");
    assert_eq!(light, colours(":root[data-theme=light]{"));
    assert_eq!(dark, colours(":root[data-theme=dark]{"));
    for theme in [&light, &dark] {
        let of = |name: &str| theme.iter().find(|c| c.0 == name).expect("named").1;
        for ground in ["bg", "card", "soft", "chosen"] {
            for text in ["ink", "dim", "red", "amber", "green", "blue"] {
                let r = ratio(of(text), of(ground));
                assert!(r >= 4.5, "{text} on {ground}: {r:.2}");
            }
            let r = ratio(of("edge"), of(ground));
            assert!(r >= 3.0, "edge on {ground}: {r:.2}");
        }
    }
}
