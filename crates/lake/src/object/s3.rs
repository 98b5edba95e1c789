//! Objects in a bucket of an S3-compatible store.

use super::{Objects, ReadAt};
use crate::fault::{Fault, Result};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use std::future::Future;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// How to reach a bucket. Nothing is taken from the environment.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BucketConfig {
    pub bucket: String,
    pub region: String,
    /// Of a store that is not AWS: `https://minio.example:9000`. The bucket then is part of the path.
    pub endpoint: Option<String>,
    pub key_id: String,
    pub secret: String,
    pub token: Option<String>,
    /// What every object's name begins with: `portreeve/lake`.
    pub prefix: String,
    /// Only for tests and for stores on this machine.
    pub allow_http: bool,
}

impl std::fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketConfig")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A part of an upload.
const PART: usize = 8 << 20;
/// Parts on their way at a time.
const PARTS: usize = 4;

pub struct Bucket {
    store: Arc<AmazonS3>,
    prefix: String,
    // The store is asynchronous and the lake is not: its futures run here.
    runtime: Arc<Runtime>,
}

impl Bucket {
    pub fn new(config: &BucketConfig) -> Result<Bucket> {
        // Somebody else may have chosen one; any will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.key_id)
            .with_secret_access_key(&config.secret)
            .with_allow_http(config.allow_http)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        if let Some(token) = &config.token {
            builder = builder.with_token(token);
        }
        let store = builder.build().map_err(|e| Fault::Store(e.to_string()))?;
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("lake-s3").enable_all().build();
        let runtime = runtime.map_err(|e| Fault::Store(e.to_string()))?;
        let prefix = config.prefix.trim_matches('/').to_owned();
        Ok(Bucket { store: Arc::new(store), prefix, runtime: Arc::new(runtime) })
    }

    fn key(&self, path: &str) -> Key {
        if self.prefix.is_empty() { Key::from(path) } else { Key::from(format!("{}/{path}", self.prefix)) }
    }
}

/// Runs a future to its end on the runtime's own thread, so that callers may themselves be inside another runtime.
fn wait<T: Send + 'static>(runtime: &Runtime, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The one who asked is waiting.
        tell.send(future.await).ok();
    });
    told.recv().ok()
}

fn fault(path: &str, error: &Error) -> Fault {
    match error {
        Error::NotFound { .. } => Fault::NotFound(path.to_owned()),
        other => Fault::Store(format!("{path}: {other}")),
    }
}

async fn upload(store: Arc<AmazonS3>, key: Key, mut file: std::fs::File) -> object_store::Result<()> {
    let whole = |source| Error::Generic { store: "S3", source };
    let length = file.metadata().map_err(|e| whole(e.into()))?.len();
    if length <= PART as u64 {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| whole(e.into()))?;
        return store.put(&key, PutPayload::from(bytes)).await.map(|_| ());
    }
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await?, PART);
    loop {
        let mut bytes = Vec::with_capacity(PART);
        (&mut file).take(PART as u64).read_to_end(&mut bytes).map_err(|e| whole(e.into()))?;
        if bytes.is_empty() {
            return upload.finish().await.map(|_| ());
        }
        upload.wait_for_capacity(PARTS).await?;
        upload.put(bytes.into());
    }
}

impl Objects for Bucket {
    fn put_file(&self, path: &str, from: &Path) -> Result<()> {
        let file = std::fs::File::open(from).map_err(|e| Fault::io(from, e))?;
        let put = wait(&self.runtime, upload(self.store.clone(), self.key(path), file));
        put.ok_or(Fault::Thread)?.map_err(|e| fault(path, &e))?;
        std::fs::remove_file(from).map_err(|e| Fault::io(from, e))
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        let (store, key, payload) = (self.store.clone(), self.key(path), PutPayload::from(bytes.to_vec()));
        let options = PutOptions::from(PutMode::Create);
        let put = wait(&self.runtime, async move { store.put_opts(&key, payload, options).await });
        match put.ok_or(Fault::Thread)? {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(e) => Err(fault(path, &e)),
        }
    }

    fn get(&self, path: &str) -> Result<Bytes> {
        let (store, key) = (self.store.clone(), self.key(path));
        let got = wait(&self.runtime, async move { store.get(&key).await?.bytes().await });
        got.ok_or(Fault::Thread)?.map_err(|e| fault(path, &e))
    }

    fn list(&self, under: &str) -> Result<Vec<(String, u64)>> {
        let (store, key) = (self.store.clone(), self.key(under));
        let listed = wait(&self.runtime, async move {
            let mut found = Vec::new();
            let mut folders = vec![key];
            while let Some(folder) = folders.pop() {
                let level = store.list_with_delimiter(Some(&folder)).await?;
                folders.extend(level.common_prefixes);
                found.extend(level.objects.into_iter().map(|o| (o.location.to_string(), o.size)));
            }
            Ok::<_, Error>(found)
        });
        let listed = listed.ok_or(Fault::Thread)?.map_err(|e| fault(under, &e))?;
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let mut found: Vec<_> = listed
            .into_iter()
            .map(|(name, size)| (name.get(skip..).unwrap_or("").to_owned(), size))
            .collect();
        found.sort();
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<()> {
        let (store, key) = (self.store.clone(), self.key(path));
        match wait(&self.runtime, async move { store.delete(&key).await }).ok_or(Fault::Thread)? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(fault(path, &e)),
        }
    }

    fn open(&self, path: &str, length: u64) -> Result<Arc<dyn ReadAt>> {
        let (store, runtime) = (self.store.clone(), self.runtime.clone());
        Ok(Arc::new(Remote { store, runtime, key: self.key(path), length }))
    }
}

struct Remote {
    store: Arc<AmazonS3>,
    runtime: Arc<Runtime>,
    key: Key,
    length: u64,
}

impl ReadAt for Remote {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> std::io::Result<Bytes> {
        let (store, key) = (self.store.clone(), self.key.clone());
        let got = wait(&self.runtime, async move { store.get_range(&key, range).await });
        match got {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(e @ Error::NotFound { .. })) => {
                Err(std::io::Error::new(std::io::ErrorKind::NotFound, e))
            }
            Some(Err(e)) => Err(std::io::Error::other(e)),
            None => Err(std::io::Error::other("the runtime of the object store has ended")),
        }
    }

    fn is_far(&self) -> bool {
        true
    }
}
