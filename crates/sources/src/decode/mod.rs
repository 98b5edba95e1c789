//! Files and streams to records. Knows formats of transport and framing, never a product.

pub mod clock;
pub mod json;
pub mod kv;
