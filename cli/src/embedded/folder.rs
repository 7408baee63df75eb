//! The data folder: made when it is missing, locked while it is open, refused when it is newer.

use anyhow::{Context, Result, bail};
use shardforge_common::disk::DirLock;
use shardforge_common::random::Random;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder's format: raised when an older program could damage what is in it.
const FORMAT: u32 = 1;

/// An open data folder.
pub(crate) struct DataFolder {
    pub(crate) root: PathBuf,
    pub(crate) safekeeper: PathBuf,
    pub(crate) pageserver: PathBuf,
    pub(crate) compute: PathBuf,
    /// Who the safekeeper of this folder is. Deleting its folder makes it another one: a safekeeper
    /// that has lost its log must never come back under its old name.
    pub(crate) safekeeper_name: String,
    _lock: DirLock,
}

impl DataFolder {
    pub(crate) fn open(root: &Path, random: &Random) -> Result<DataFolder> {
        let doing = || format!("data folder {}", root.display());
        fs::create_dir_all(root)
            .with_context(|| format!("cannot make the data folder {}", root.display()))?;
        let lock = DirLock::acquire(root)?;
        check_format(root).with_context(doing)?;
        let folder = |name: &str| -> Result<PathBuf> {
            let path = root.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot make the folder {}", path.display()))?;
            Ok(path)
        };
        let (safekeeper, pageserver, compute) =
            (folder("safekeeper")?, folder("pageserver")?, folder("compute")?);
        // What a process spilled that is gone now.
        for entry in fs::read_dir(&compute).with_context(doing)? {
            let path = entry.with_context(doing)?.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let name_file = safekeeper.join("NODE");
        let safekeeper_name = match fs::read_to_string(&name_file) {
            Ok(name) => name.trim().to_string(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let name = random.branch_id().to_string();
                write_durably(&name_file, &format!("{name}\n"))?;
                name
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", name_file.display())),
        };
        if safekeeper_name.len() != 32 || !safekeeper_name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!(
                "{} is damaged: 32 hexadecimal digits are expected; restore it from a copy",
                name_file.display()
            );
        }
        Ok(DataFolder {
            root: root.to_path_buf(),
            safekeeper,
            pageserver,
            compute,
            safekeeper_name,
            _lock: lock,
        })
    }
}

fn check_format(root: &Path) -> Result<()> {
    let path = root.join("FORMAT");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let format: u32 = text.trim().parse().with_context(|| {
                format!(
                    "{} is damaged: a number is expected, \"{FORMAT}\" if this version made it",
                    path.display()
                )
            })?;
            if format > FORMAT {
                bail!(
                    "it has format {format}, and this program knows up to format {FORMAT}: use a newer program"
                );
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_durably(&path, &format!("{FORMAT}\n"))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn write_durably(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
