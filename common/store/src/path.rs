//! Paths of objects: segments joined by `/`, of a few harmless characters.

use shardforge_common::{Error, Result};
use std::fmt;

/// The path of an object, or of a folder of objects.
///
/// Segments are made of ASCII letters, digits, `-`, `_`, `=` and `.`, and do not start with a dot:
/// so a path is a file name on any system and an S3 key without escapes, and names that start with
/// a dot are free for a store's own use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath(String);

impl ObjectPath {
    /// A path of one or more segments.
    pub fn new(path: impl Into<String>) -> Result<ObjectPath> {
        let path = path.into();
        match path.split('/').find(|segment| !is_segment(segment)) {
            None => Ok(ObjectPath(path)),
            Some(bad) => {
                Err(Error::invalid(format!("\"{bad}\" in \"{path}\" cannot be part of an object's path")))
            }
        }
    }

    /// The path below this one. The name must be a segment, or several joined by `/`.
    pub fn join(&self, name: &str) -> Result<ObjectPath> {
        Self::new(format!("{}/{name}", self.0))
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes after `folder/`, when this lies below it.
    pub fn below(&self, folder: &ObjectPath) -> Option<&str> {
        self.0.strip_prefix(&folder.0)?.strip_prefix('/')
    }
}

pub(crate) fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && !segment.starts_with('.')
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b))
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_folder_or_hide() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", "a/.tmp", "a b", "a\\b", "ü"] {
            assert!(ObjectPath::new(bad).is_err(), "{bad:?} was taken");
        }
        let folder = ObjectPath::new("tenants/a").unwrap();
        let object = folder.join("manifests/1").unwrap();
        assert_eq!(object.below(&folder), Some("manifests/1"));
        assert_eq!(object.name(), "1");
        assert_eq!(ObjectPath::new("tenants/ab/x").unwrap().below(&folder), None);
    }
}
