//! The live service: engine, page and API.
