//! The columns as a Parquet schema, and how each is written.

use crate::columns::{Col, Kind};
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use std::sync::Arc;

/// Rows of a row group.
pub(crate) const GROUP: usize = 65_536;
/// Rows of a page: what a search must at least unpack to see one value.
const PAGE_ROWS: usize = 8_192;
/// Records are long; a smaller page lets evidence be fetched without its neighbours.
const RAW_PAGE: usize = 64 << 10;
/// Bytes that are no text are kept beside the text that is shown of them.
pub(crate) const RAW_BYTES: usize = Col::ALL.len();

pub(crate) fn schema() -> TypePtr {
    let mut fields: Vec<TypePtr> = Col::ALL.iter().map(|c| field(c.name(), c.kind())).collect();
    let bytes = Type::primitive_type_builder("raw_bytes", Physical::BYTE_ARRAY)
        .with_repetition(Repetition::OPTIONAL)
        .build()
        .expect("a name and a type make a column");
    fields.push(Arc::new(bytes));
    let root = Type::group_type_builder("event").with_fields(fields).build().expect("columns make a schema");
    Arc::new(root)
}

fn field(name: &str, kind: Kind) -> TypePtr {
    let (physical, logical, null) = match kind {
        Kind::Moment => {
            let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
            (Physical::INT64, Some(utc), false)
        }
        Kind::Number => (Physical::INT64, None, false),
        Kind::Count => (Physical::INT64, None, true),
        Kind::Small => (Physical::INT32, None, true),
        Kind::Real => (Physical::FLOAT, None, true),
        Kind::Text | Kind::Raw => (Physical::BYTE_ARRAY, Some(LogicalType::String), true),
    };
    let repetition = if null { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let built = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
        .expect("physical and logical type of each kind belong together");
    Arc::new(built)
}

/// Level 1: each further one costs twice the time for a few hundredths of the size.
pub(crate) fn properties(group_rows: usize) -> WriterProperties {
    let path = |col: Col| ColumnPath::from(col.name());
    let level = ZstdLevel::try_new(1).expect("1 is a level");
    let sorted = [Col::Time, Col::Seq]
        .map(|c| SortingColumn { column_idx: c as i32, descending: false, nulls_first: false })
        .to_vec();
    let mut properties = WriterProperties::builder()
        .set_created_by("portreeve".to_owned())
        .set_compression(Compression::UNCOMPRESSED)
        .set_column_compression(ColumnPath::from("raw_bytes"), Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(group_rows.max(1)))
        .set_data_page_row_count_limit(PAGE_ROWS.min(group_rows.div_ceil(8)).max(1))
        .set_write_batch_size(1_024.min(group_rows.div_ceil(8)).max(1))
        .set_dictionary_page_size_limit(512 << 10)
        // All that pruning reads lies together at the end.
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(sorted));
    for col in Col::ALL.iter().copied() {
        let path = path(col);
        // Numbers are packed as they are: to read one of them through a dictionary one must read all of it.
        if col != Col::Key && !matches!(col.kind(), Kind::Text | Kind::Raw | Kind::Real) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if is_worth_packing(col) {
            properties = properties.set_column_compression(path.clone(), Compression::ZSTD(level));
        }
        if matches!(col, Col::Time | Col::Seq) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
        }
        if col == Col::Key {
            // A hash: no value repeats and nothing lies between two.
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if col == Col::Raw {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_data_page_size_limit(path.clone(), RAW_PAGE)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if col.has_bloom() {
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), 0.01)
                .set_column_bloom_filter_max_ndv(path, group_rows as u64);
        }
    }
    properties.build()
}

/// Packed numbers, and numbers of a small dictionary, are small already. To begin with zstd costs more than to unpack a
/// page of them: it was half of the time in which a row is read with all its columns.
fn is_worth_packing(col: Col) -> bool {
    matches!(
        col,
        Col::User
            | Col::UserKey
            | Col::Target
            | Col::SrcIp
            | Col::TunIp
            | Col::DstIp
            | Col::Host
            | Col::Device
            | Col::Sid
            | Col::Client
            | Col::Detail
            | Col::City
            | Col::Raw
    )
}
