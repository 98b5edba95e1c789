//! Windows events in whatever shape they are handed over: one view for all parsers of Windows products.

mod event;
mod message;
mod text;
mod tools;

pub(crate) use event::{MARKS, WinEvent, claimed, is_event};
pub(crate) use tools::is_remote_tool;
