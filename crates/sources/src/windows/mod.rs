//! Windows events in whatever shape they are handed over: one view for all parsers of Windows products.

mod event;

pub(crate) use event::{WinEvent, is_event};
