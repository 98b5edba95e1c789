//! wip
use crate::Format;
use portreeve_model::case::{Case, RunReport};
use std::io::{self, Write};
pub(crate) static FORMAT: Format = Format { name: "html", file: "report.html", write };
fn write(_: &[Case], _: &RunReport, _: &mut dyn Write) -> io::Result<()> { Ok(()) }
