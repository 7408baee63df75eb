//! S3, and what speaks its protocol, through the `object_store` crate.
//!
//! Creation is conditional (`If-None-Match: *`). The client repeats requests by itself, so a put that
//! took effect may be answered `Exists` when its first answer was lost: callers that care know their
//! own bytes again (the journal's nonce).

use crate::url::S3Location;
use crate::{ObjectMeta, ObjectPath, ObjectStore, PutOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt, PutMode, PutOptions};
use shardforge_common::{Error, Result};
use std::ops::Range;

/// A bucket, or the part of it below a prefix.
#[derive(Debug)]
pub struct S3 {
    client: AmazonS3,
    location: S3Location,
}

impl S3 {
    /// A client for the bucket. Nothing is sent yet. Credentials come from the environment.
    pub fn open(location: &S3Location) -> Result<S3> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&location.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(region) = &location.region {
            builder = builder.with_region(region);
        }
        let client = builder
            .build()
            .map_err(|e| Error::invalid(format!("object store s3://{}", location.bucket)).with_source(e))?;
        Ok(S3 { client, location: location.clone() })
    }

    fn key(&self, path: &ObjectPath) -> Path {
        match self.location.prefix.as_str() {
            "" => Path::from(path.as_str()),
            prefix => Path::from(format!("{prefix}/{path}")),
        }
    }

    fn error(&self, doing: &str, path: &ObjectPath, error: object_store::Error) -> Error {
        use object_store::Error as E;
        let message = format!("{doing} {path} in {}", self.describe());
        match &error {
            E::NotFound { .. } => Error::not_found(message),
            E::InvalidPath { .. }
            | E::NotSupported { .. }
            | E::NotImplemented { .. }
            | E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::UnknownConfigurationKey { .. } => Error::invalid(message),
            _ => Error::unavailable(message),
        }
        .with_source(error)
    }
}

#[async_trait]
impl ObjectStore for S3 {
    async fn put_if_absent(&self, path: &ObjectPath, bytes: Bytes) -> Result<PutOutcome> {
        let options = PutOptions::from(PutMode::Create);
        match self.client.put_opts(&self.key(path), bytes.into(), options).await {
            Ok(_) => Ok(PutOutcome::Created),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(PutOutcome::Exists)
            }
            Err(error) => Err(self.error("creating", path, error)),
        }
    }

    async fn put(&self, path: &ObjectPath, bytes: Bytes) -> Result<()> {
        let put = self.client.put(&self.key(path), bytes.into()).await;
        put.map(drop).map_err(|e| self.error("writing", path, e))
    }

    async fn get(&self, path: &ObjectPath) -> Result<Bytes> {
        let got = async { self.client.get(&self.key(path)).await?.bytes().await };
        got.await.map_err(|e| self.error("reading", path, e))
    }

    async fn get_range(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes> {
        let wanted = range.end - range.start;
        let got = self.client.get_range(&self.key(path), range.clone()).await;
        let bytes = got.map_err(|e| self.error("reading", path, e))?;
        if bytes.len() as u64 != wanted {
            return Err(Error::corrupt(format!(
                "{path} in {}: bytes {} to {} wanted, {} read",
                self.describe(),
                range.start,
                range.end,
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    async fn list(&self, folder: &ObjectPath) -> Result<Vec<ObjectMeta>> {
        let skip = if self.location.prefix.is_empty() { 0 } else { self.location.prefix.len() + 1 };
        let found: Vec<object_store::ObjectMeta> = self
            .client
            .list(Some(&self.key(folder)))
            .try_collect()
            .await
            .map_err(|e| self.error("listing", folder, e))?;
        let mut list: Vec<ObjectMeta> = found
            .into_iter()
            .filter_map(|meta| {
                // Keys that we could not have written are not ours.
                let path = ObjectPath::new(meta.location.as_ref().get(skip..)?).ok()?;
                Some(ObjectMeta { path, size_bytes: meta.size })
            })
            .collect();
        list.sort();
        Ok(list)
    }

    async fn delete(&self, path: &ObjectPath) -> Result<()> {
        match self.client.delete(&self.key(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("deleting", path, error)),
        }
    }

    async fn head(&self, path: &ObjectPath) -> Result<Option<ObjectMeta>> {
        match self.client.head(&self.key(path)).await {
            Ok(meta) => Ok(Some(ObjectMeta { path: path.clone(), size_bytes: meta.size })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error("asking for", path, error)),
        }
    }

    fn describe(&self) -> String {
        format!("s3://{}/{}", self.location.bucket, self.location.prefix)
    }
}
