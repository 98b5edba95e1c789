//! A JSON object while it is written.

use crate::json::quote;

pub(super) struct Object {
    pub(super) out: Vec<u8>,
}

impl Object {
    pub(super) fn begin(mut out: Vec<u8>) -> Object {
        out.clear();
        out.push(b'{');
        Object { out }
    }

    /// The name of a member; its value is written behind it.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        &mut self.out
    }

    pub(super) fn text(&mut self, name: &str, text: &[u8]) {
        if !text.is_empty() {
            quote(text, self.name(name));
        }
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn comma(&mut self) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
    }
}
