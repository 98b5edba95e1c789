//! Windows events in whatever shape they are handed over: one view for all parsers of Windows products.

mod event;
mod message;
mod text;

pub(crate) use event::{MARKS, WinEvent, is_event};
