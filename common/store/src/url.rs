//! The URLs by which a configuration names its object store.

use shardforge_common::{Error, Result};
use std::path::PathBuf;
use std::str::FromStr;

/// A parsed store URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `file:///folder`
    Folder(PathBuf),
    /// `s3://bucket/prefix?endpoint=…&region=…`
    S3(S3Location),
}

/// Where in S3, or in what speaks its protocol. Credentials come from the environment
/// (`AWS_ACCESS_KEY_ID`, …), never from a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// What every object's key starts with; may be empty.
    pub prefix: String,
    /// The server, when it is not Amazon's. `http://` is taken as it stands.
    pub endpoint: Option<String>,
    /// The region, when the environment does not say it.
    pub region: Option<String>,
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("object store \"{url}\": {why}"));
        if let Some(folder) = url.strip_prefix("file://") {
            return if folder.starts_with('/') {
                Ok(StoreUrl::Folder(PathBuf::from(decode(folder).ok_or_else(|| bad("a bad % escape"))?)))
            } else {
                Err(bad("write file:///folder, with an absolute folder"))
            };
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err(bad("write file:///folder or s3://bucket/prefix"));
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() {
            return Err(bad("the bucket is missing"));
        }
        if !prefix.is_empty() && !prefix.split('/').all(crate::path::is_segment) {
            return Err(bad("the prefix may hold letters, digits, '-', '_', '=' and '.'"));
        }
        let mut location =
            S3Location { bucket: bucket.into(), prefix: prefix.into(), endpoint: None, region: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| bad("a setting without '='"))?;
            let value = decode(value).ok_or_else(|| bad("a bad % escape"))?;
            match key {
                "endpoint" => location.endpoint = Some(value),
                "region" => location.region = Some(value),
                other => return Err(bad(&format!("unknown setting \"{other}\" (endpoint, region)"))),
            }
        }
        Ok(StoreUrl::S3(location))
    }
}

/// Replaces `%xx` escapes.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            out.push(*byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_folders_and_buckets_and_nothing_else() {
        assert_eq!("file:///a/b%20c".parse::<StoreUrl>().unwrap(), StoreUrl::Folder("/a/b c".into()));
        let s3 = "s3://b/p/q/?endpoint=http://127.0.0.1:9000&region=eu-1".parse::<StoreUrl>().unwrap();
        let StoreUrl::S3(location) = s3 else { panic!("not S3") };
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("b", "p/q"));
        assert_eq!(location.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        for bad in ["file://rel", "s3://", "gs://b", "s3://b?bucket=c", "s3://b/../x", "s3://b?endpoint=%4"] {
            assert!(bad.parse::<StoreUrl>().is_err(), "{bad} was taken");
        }
    }
}
