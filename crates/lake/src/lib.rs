//! Records that were received, durable and searchable: a journal, and Parquet.
