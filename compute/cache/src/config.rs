//! Limits.

/// How much a branch's memory may hold.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Cached pages, in bytes.
    pub page_cache_bytes: usize,
    /// Recent writes beyond which folding starts, in bytes.
    pub recent_bytes: usize,
    /// Recent writes beyond which the floor rises to the applied LSN, whether or not pageservers have ingested so
    /// far (R4), in bytes. From three quarters of it on, the floor rises to what they have ingested, whoever
    /// still reads below it.
    pub recent_bytes_hard: usize,
    /// How much of one large commit recent writes take, in bytes of its records. Of what it wrote beyond,
    /// only the floor is raised (R4).
    pub large_commit_bytes: usize,
    /// Of a part of a large commit that holds so many bytes of new rows, where next to nothing is cached, only
    /// the floor is raised as well.
    pub new_rows_bytes: usize,
    /// Target size of a page made by folding, in bytes.
    pub page_bytes: usize,
    /// Pages that one reader may hold outside the cache, in bytes.
    pub held_bytes: usize,
    /// Pages fetched ahead in one request of a long scan, in bytes.
    pub scan_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self::sized(256 << 20, 64 << 20, 16 << 10)
    }
}

impl CacheConfig {
    /// Limits from the three that people set.
    pub fn sized(page_cache_bytes: usize, recent_bytes: usize, page_bytes: usize) -> Self {
        Self {
            page_cache_bytes,
            recent_bytes,
            recent_bytes_hard: recent_bytes.saturating_mul(4),
            large_commit_bytes: recent_bytes / 4,
            new_rows_bytes: 256 << 10,
            page_bytes,
            held_bytes: (page_cache_bytes / 16).clamp(256 << 10, 4 << 20),
            scan_bytes: (page_cache_bytes as u64 / 32).clamp(32 << 10, 1 << 20),
        }
    }
}
