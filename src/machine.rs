//! What the machine gives this process: memory, cores, room on the disk.

use std::io;
use std::path::Path;
use std::thread;

/// Room on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this process may still write.
    pub free_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
}

/// Room on the file system that holds `path`.
///
/// # Errors
///
/// It is not there, or cannot be asked.
pub fn disk(path: &Path) -> io::Result<Disk> {
    let told = rustix::fs::statvfs(path)?;
    Ok(Disk {
        free_bytes: told.f_bavail.saturating_mul(told.f_frsize),
        size_bytes: told.f_blocks.saturating_mul(told.f_frsize),
    })
}

/// Memory that this process may use, bytes: the lowest limit of its control group (version 2) and of those above
/// it, or the machine's memory if that is less or there is no limit.
pub fn memory_max_bytes() -> u64 {
    let told = rustix::system::sysinfo();
    let machine = (told.totalram as u64).saturating_mul(u64::from(told.mem_unit));
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limit(Path::new("/sys/fs/cgroup"), &group).map_or(machine, |limit| limit.min(machine))
}

/// The lowest `memory.max` on the way from a control group, as `/proc/self/cgroup` names it, up to the root.
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    // Version 2 has one line, `0::/path`; a container may see a path that leads out of its own tree.
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let inside = root.join(group);
    let inside = if inside.is_dir() { inside } else { root.to_owned() };
    let limits = inside.ancestors().take_while(|folder| folder.starts_with(root));
    // `max` is no limit, and no number.
    limits
        .filter_map(|folder| {
            std::fs::read_to_string(folder.join("memory.max"))
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .min()
}

/// Cores that this process may use; at least 1.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path();
        let deep = root.join("system.slice/hubbub.service");
        std::fs::create_dir_all(&deep).expect("is made");
        let group = "0::/system.slice/hubbub.service\n";
        assert_eq!(group_limit(root, group), None);
        std::fs::write(deep.join("memory.max"), "max\n").expect("writes");
        assert_eq!(group_limit(root, group), None);
        std::fs::write(root.join("system.slice/memory.max"), "1073741824\n").expect("writes");
        assert_eq!(group_limit(root, group), Some(1 << 30));
        std::fs::write(deep.join("memory.max"), "268435456\n").expect("writes");
        assert_eq!(group_limit(root, group), Some(256 << 20));
        std::fs::write(root.join("memory.max"), "1000\n").expect("writes");
        assert_eq!(group_limit(root, "0::/../elsewhere\n"), Some(1000), "a container's own");
        assert_eq!(group_limit(root, "3:memory:/old\n"), None, "version 1 is not read");
    }

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        assert!(memory_max_bytes() > 1 << 20);
        let disk = disk(Path::new(".")).expect("is there");
        assert!(0 < disk.size_bytes && disk.free_bytes <= disk.size_bytes);
    }
}
