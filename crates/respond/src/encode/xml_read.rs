//! Answers in XML, read by `quick-xml` into a small tree. A document type, an entity of its own and a depth that no
//! product needs are refused.

use crate::fault::Fault;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// An element, its attributes, the text directly inside, and its children in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Node>,
}

const DEEPEST: usize = 64;

impl Node {
    /// Reads a whole document and returns its root.
    pub fn parse(xml: &str) -> Result<Node, Fault> {
        let garbled = |why: &str| Fault::Garbled(format!("XML: {why}"));
        let mut reader = Reader::from_str(xml);
        let mut open: Vec<Node> = vec![Node::default()];
        loop {
            let event = reader.read_event().map_err(|e| garbled(&e.to_string()))?;
            match event {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return Err(garbled("is nested too deep"));
                    }
                    open.push(begun(&start).ok_or_else(|| garbled("an attribute cannot be read"))?);
                }
                Event::Empty(start) => {
                    let node = begun(&start).ok_or_else(|| garbled("an attribute cannot be read"))?;
                    if let Some(parent) = open.last_mut() {
                        parent.children.push(node);
                    }
                }
                Event::End(_) => {
                    let Some(node) = open.pop() else { return Err(garbled("ends what was not begun")) };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => return Err(garbled("ends what was not begun")),
                    }
                }
                Event::Text(text) => push(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(text) => push(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(c)) => push(&mut open, c.encode_utf8(&mut [0; 4])),
                    Ok(None) => match quick_xml::escape::resolve_predefined_entity(&reference) {
                        Some(text) => push(&mut open, text),
                        None => return Err(garbled("holds an entity of its own")),
                    },
                    Err(e) => return Err(garbled(&e.to_string())),
                },
                Event::DocType(_) => return Err(garbled("holds a document type")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(mut top), true) if top.children.len() == 1 => {
                top.children.pop().ok_or_else(|| garbled("is empty"))
            }
            (Some(_), true) => Err(garbled("has not one root")),
            _ => Err(garbled("is cut short")),
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> + 'a {
        self.children.iter().filter(move |c| c.name == name)
    }

    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The element at the end of a path of names: `result/dyn-addr-grp`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('/').try_fold(self, |node, name| node.child(name))
    }

    /// The text of a child, trimmed; empty where there is none.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }

    /// All text inside, for an error.
    pub fn words(&self) -> String {
        let mut out = self.text.trim().to_owned();
        for (name, value) in &self.attributes {
            if name == "message" {
                out.push_str(value);
            }
        }
        for child in &self.children {
            let inside = child.words();
            if !inside.is_empty() {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(&inside);
            }
        }
        out
    }
}

fn begun(start: &BytesStart<'_>) -> Option<Node> {
    let mut node = Node { name: start.name().into_inner().to_owned(), ..Node::default() };
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        node.attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
    }
    Some(node)
}

fn push(open: &mut [Node], text: &str) {
    if let Some(node) = open.last_mut() {
        node.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::xml::Element;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_a_tree() {
        let node = Node::parse(
            "<?xml version=\"1.0\"?><r status='success'><result><entry ip=\"192.0.2.1\"><tag><member>a&amp;b</member>\
             <member><![CDATA[<c>]]></member></tag></entry><count>1</count></result></r>",
        )
        .unwrap();
        assert_eq!(node.attribute("status"), Some("success"));
        let entry = node.at("result/entry").unwrap();
        let tags: Vec<&str> = entry.child("tag").unwrap().all("member").map(|m| m.text.as_str()).collect();
        assert_eq!(tags, ["a&b", "<c>"]);
        assert_eq!(node.at("result").unwrap().text_of("count"), "1");
    }

    #[test]
    fn tricks_and_halves_are_refused() {
        for bad in [
            "",
            "<a>",
            "</a>",
            "<a/><b/>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&x;</a>",
            "{}",
            "<a b=1/>",
            &format!("{}{}", "<a>".repeat(100), "</a>".repeat(100)),
        ] {
            assert!(Node::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in "[ -~äß€\u{2019}]{1,40}") {
            let xml = Element::new("a").attribute("b", &value).child(Element::new("c").text(&value)).write();
            let node = Node::parse(&xml).unwrap();
            prop_assert_eq!(node.attribute("b"), Some(value.as_str()));
            prop_assert_eq!(&node.child("c").unwrap().text, &value);
        }

        #[test]
        fn hostile_bytes_do_not_panic(value in any::<String>()) {
            let _any = Node::parse(&value);
            let _any = Node::parse(&format!("<a {value}</a>"));
        }
    }
}
