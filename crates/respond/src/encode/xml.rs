//! XML for APIs that take it: written by `quick-xml`, which escapes text and attributes.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use std::borrow::Cow;

/// An element with attributes and what is inside.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    inside: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub fn new(name: &'static str) -> Element {
        Element { name, attributes: Vec::new(), inside: Vec::new() }
    }

    #[must_use]
    pub fn attribute(mut self, name: &'static str, value: &str) -> Element {
        self.attributes.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub fn text(mut self, value: &str) -> Element {
        self.inside.push(Node::Text(value.to_owned()));
        self
    }

    #[must_use]
    pub fn child(mut self, child: Element) -> Element {
        self.inside.push(Node::Element(child));
        self
    }

    /// The document, without a declaration.
    pub fn write(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        self.write_to(&mut writer);
        String::from_utf8(writer.into_inner()).unwrap_or_default()
    }

    fn write_to(&self, to: &mut Writer<Vec<u8>>) {
        let mut start = BytesStart::new(self.name);
        for (name, value) in &self.attributes {
            start.push_attribute((*name, value.as_str()));
        }
        // Writing to memory does not fail.
        if self.inside.is_empty() {
            let _ok = to.write_event(Event::Empty(start));
            return;
        }
        let _ok = to.write_event(Event::Start(start));
        for node in &self.inside {
            match node {
                Node::Element(element) => element.write_to(to),
                Node::Text(text) => {
                    let clean: Cow<'_, str> = Cow::Borrowed(text);
                    let _ok = to.write_event(Event::Text(BytesText::new(&clean)));
                }
            }
        }
        let _ok = to.write_event(Event::End(BytesEnd::new(self.name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_stays_inside_its_element() {
        let xml = Element::new("entry")
            .attribute("ip", "1\"/><x y='")
            .child(Element::new("user").text("</user><evil/>&"))
            .write();
        assert_eq!(
            xml,
            "<entry ip=\"1&quot;/&gt;&lt;x y=&apos;\"><user>&lt;/user&gt;&lt;evil/&gt;&amp;</user></entry>"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_put_in_makes_one_element(value in any::<String>()) {
            let xml = Element::new("a").attribute("b", &value).text(&value).write();
            prop_assert_eq!(xml.matches('<').count(), 2);
        }
    }
}
