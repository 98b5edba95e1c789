//! The service as its peers see it.

mod line;
mod site;
