//! wip
use crate::Format;
use portreeve_model::case::{Case, RunReport};
use std::io::{self, Write};
pub(crate) static FORMAT: Format = Format { name: "md", file: "report.md", write };
fn write(_: &[Case], _: &RunReport, _: &mut dyn Write) -> io::Result<()> { Ok(()) }
