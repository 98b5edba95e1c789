//! The lake's files as DataFusion wants to see them: what it opens is opened by the lake.

use crate::lake::View;
use crate::object::ReadAt;
use async_trait::async_trait;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Only reading of files that a view names.
pub(super) struct Files {
    view: View,
    /// Place of each file in the manifest.
    known: HashMap<String, usize>,
}

impl Files {
    pub(super) fn new(view: &View) -> Files {
        let known = view
            .manifest
            .files
            .iter()
            .enumerate()
            .map(|(n, f)| (Path::from(f.entry.path.as_str()).to_string(), n));
        Files { view: view.clone(), known: known.collect() }
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the files of the lake")
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn refused<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "the files of the lake".to_owned(),
    })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "lake", source: Box::new(error) }
}

#[async_trait]
impl ObjectStore for Files {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(file) = self.known.get(location.as_ref()).and_then(|n| self.view.manifest.files.get(*n))
        else {
            return Err(Error::NotFound { path: location.to_string(), source: "no live file".into() });
        };
        let size = file.entry.bytes;
        let meta = ObjectMeta {
            location: location.clone(),
            // A file is never changed; its name is its version.
            last_modified: SystemTime::UNIX_EPOCH.into(),
            size,
            e_tag: None,
            version: None,
        };
        let range = match options.range {
            None => 0..size,
            Some(GetRange::Bounded(range)) => range.start.min(size)..range.end.min(size),
            Some(GetRange::Offset(from)) => from.min(size)..size,
            Some(GetRange::Suffix(n)) => size.saturating_sub(n)..size,
        };
        let (file, inner, wanted) = (file.clone(), self.view.inner.clone(), range.clone());
        let head = options.head;
        let read = tokio::task::spawn_blocking(move || {
            if head {
                return Ok(bytes::Bytes::new());
            }
            let open: Arc<dyn ReadAt> = inner.data(&file.entry).map_err(failed)?;
            open.read(wanted).map_err(failed)
        });
        let bytes = read.await.map_err(failed)??;
        let payload = GetResultPayload::Stream(futures::stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused("put")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refused("put")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { refused("delete") }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(async { refused("list") }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        refused("list")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused("copy")
    }
}
