//! What the architecture forbids and no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// What the core may use of other crates: all of it without clock, randomness and I/O of its own. `serde_json`
/// measures keyframes, `utoipa` derives the API's schemas from the types themselves.
const CORE_CRATES: &[&str] = &[
    "std",
    "crate",
    "self",
    "super",
    "serde",
    "serde_json",
    "thiserror",
    "aho_corasick",
    "hmac",
    "rand_chacha",
    "sha2",
    "subtle",
    "unicode_normalization",
    "unicode_properties",
    "unicode_security",
    "unicode_segmentation",
    "utoipa",
];

/// What gives another result, or another order, the next time; and the shell.
const CORE_FORBIDDEN: &[&str] = &[
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "RandomState",
    "thread_local",
    "static mut",
    "std::thread",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::sync",
    "std::time",
    "tokio",
    "getrandom",
    "tracing",
    "println!",
    "crate::hub",
    "crate::journal",
    "crate::http",
    "crate::protocol",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines that are code and no tests, with their numbers. Test modules stand at the end of their files, or
/// in files of their own.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("readable");
    let lines = text.lines().take_while(|line| *line != "mod tests {");
    let numbered = lines.enumerate().map(|(n, line)| (n + 1, line.trim().to_owned()));
    numbered.filter(|(_, line)| !line.starts_with("//")).collect()
}

fn core_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/room");
    let files = sources(&root);
    assert!(files.len() > 8, "the core is where it was");
    files.into_iter().filter(|path| !path.ends_with("tests.rs")).collect()
}

#[test]
fn the_core_knows_no_clock_no_chance_no_order_of_hashes_and_nothing_of_the_shell() {
    let mut found = Vec::new();
    for path in core_files() {
        for (number, line) in code(&path) {
            for word in CORE_FORBIDDEN.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_core_uses_only_crates_that_are_the_same_every_time() {
    let mut found = Vec::new();
    for path in core_files() {
        for (number, line) in code(&path) {
            let Some(used) = line.strip_prefix("use ").or_else(|| line.strip_prefix("pub use ")) else {
                continue;
            };
            let first = used.split(&[':', ';', ' ', '{'][..]).next().expect("split gives one");
            // A module of the core itself: `pub use id::*`.
            let own = path.with_file_name(format!("{first}.rs")).exists() || path.with_file_name(first).is_dir();
            if !CORE_CRATES.contains(&first) && !own {
                found.push(format!("{}:{number}: {first}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_load_test_knows_the_server_from_outside_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/src");
    let mut found = Vec::new();
    for path in sources(&root) {
        for (number, line) in code(&path) {
            let foreign = |at: &str| {
                !["protocol", "room", "tls::client"]
                    .iter()
                    .any(|known| at.starts_with(known))
            };
            if line.split("hubbub::").skip(1).any(foreign) {
                found.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
