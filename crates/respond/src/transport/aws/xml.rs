//! Reads the XML answers of the query protocol into a small tree. Namespaces and attributes mean nothing in them.

use crate::fault::Fault;
use quick_xml::Reader;
use quick_xml::events::Event;

/// An element: its name, the text directly in it, and the elements in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    pub name: String,
    pub text: String,
    pub inside: Vec<Node>,
}

/// No answer of AWS is nested deeper.
const DEEPEST: usize = 32;

impl Node {
    /// The root element of a document.
    pub fn read(text: &str) -> Result<Node, Fault> {
        let garbled = |why: &str| Fault::Garbled(format!("the answer is no XML: {why}"));
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Node> = vec![Node::default()];
        loop {
            match reader.read_event().map_err(|e| garbled(&e.to_string()))? {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return Err(garbled("nested too deep"));
                    }
                    open.push(Node { name: start.local_name().as_ref().to_owned(), ..Node::default() });
                }
                Event::Empty(start) => {
                    if let Some(parent) = open.last_mut() {
                        let name = start.local_name().as_ref().to_owned();
                        parent.inside.push(Node { name, ..Node::default() });
                    }
                }
                Event::End(_) => {
                    let (Some(done), Some(parent)) = (open.pop(), open.last_mut()) else {
                        return Err(garbled("an end without a beginning"));
                    };
                    parent.inside.push(done);
                }
                Event::Text(text) => {
                    if let Some(node) = open.last_mut() {
                        node.text.push_str(&text.xml10_content());
                    }
                }
                Event::CData(text) => {
                    if let Some(node) = open.last_mut() {
                        node.text.push_str(&text.xml10_content());
                    }
                }
                Event::GeneralRef(reference) => {
                    let c = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(c),
                        Ok(None) => match &*reference.xml10_content() {
                            "amp" => Some('&'),
                            "lt" => Some('<'),
                            "gt" => Some('>'),
                            "quot" => Some('"'),
                            "apos" => Some('\''),
                            _ => None,
                        },
                        Err(_) => None,
                    };
                    match (c, open.last_mut()) {
                        (Some(c), Some(node)) => node.text.push(c),
                        _ => return Err(garbled("an entity that XML does not know")),
                    }
                }
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
        match open.as_mut_slice() {
            [root] if root.inside.len() == 1 => Ok(root.inside.remove(0)),
            _ => Err(garbled("not one element")),
        }
    }

    pub fn child(&self, name: &str) -> Option<&Node> {
        self.inside.iter().find(|n| n.name == name)
    }

    /// The node at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// The text at the end of a path, trimmed.
    pub fn get(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(|n| n.text.trim())
    }

    /// The elements of a list: `member` in IAM, `item` in EC2.
    pub fn list(&self, path: &[&str]) -> impl Iterator<Item = &Node> {
        self.at(path)
            .into_iter()
            .flat_map(|n| n.inside.iter().filter(|n| matches!(n.name.as_str(), "member" | "item")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_texts_are_found_by_path() {
        let node = Node::read(
            "<?xml version=\"1.0\"?>\n<R xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><L><member><N>a&amp;b&#x3c;</N></member>\
             <member><N> c </N><Empty/></member></L></R>",
        )
        .unwrap();
        let names: Vec<_> = node.list(&["L"]).filter_map(|n| n.get(&["N"])).collect();
        assert_eq!(names, ["a&b<", "c"]);
        assert_eq!(node.get(&["L", "X"]), None);
    }

    #[test]
    fn what_is_cut_or_tricks_is_refused() {
        for bad in ["", "<a>", "<a><b></a>", "<a>&evil;</a>", "<a/><b/>", "text"] {
            assert!(Node::read(bad).is_err(), "{bad}");
        }
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        assert!(Node::read(&deep).is_err());
    }
}
