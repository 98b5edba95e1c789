//! Windows events in whatever shape they are handed over: one view for all parsers of Windows products.

mod event;
mod look;
mod message;
mod text;
mod tools;

pub(crate) use event::{MARKS, WinEvent, is_event};
pub(crate) use look::{Look, claimed};
pub(crate) use tools::is_remote_tool;
