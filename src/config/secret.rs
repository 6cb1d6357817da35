//! Files that hold secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::fault::Faults;

/// Bits a secret's file must not have: anything for others, writing for its group. A group that may
/// read is how packages give a file of root to a service.
const CLOSED_TO: u32 = 0o027;

/// The mode of a file that is open to more than its owner and the readers of its group.
pub(super) fn too_open(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & CLOSED_TO != 0).then_some(mode)
}

pub(super) fn check_mode(key: &str, path: &Path, faults: &mut Faults<'_>) {
    if let Some(mode) = too_open(path) {
        let path = path.display();
        faults.add(
            key,
            format!("file {path} is open to others (mode {mode:04o}): chmod 0600 or 0640"),
            format!("ファイル {path} が他者に公開されています（モード {mode:04o}）。chmod 0600 または 0640 としてください"),
        );
    }
}
