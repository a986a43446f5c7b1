//! What the architecture forbids and no compiler checks.

use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml::Table;

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

/// What takes text for markup or for code.
const PAGE_FORBIDDEN: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "setHTMLUnsafe",
    "parseHTMLUnsafe",
    "createContextualFragment",
    "DOMParser",
    "srcdoc",
    "document.write",
    "eval(",
    "new Function",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path, kind));
        } else if path.extension().is_some_and(|extension| extension == kind) {
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
    let files = sources(&root().join("src/room"), "rs");
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
    let mut found = Vec::new();
    for path in sources(&root().join("loadtest/src"), "rs") {
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

#[test]
fn no_page_takes_text_for_markup_or_code() {
    let files = sources(&root().join("static/js"), "js");
    assert!(files.len() > 20, "the pages are where they were");
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("readable");
        let words = PAGE_FORBIDDEN.iter().filter(|word| text.contains(*word));
        found.extend(words.map(|word| format!("{}: {word}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn table(path: &str) -> Table {
    let text = fs::read_to_string(root().join(path)).expect("readable");
    text.parse().expect("TOML")
}

#[test]
fn unsafe_code_is_forbidden_in_each_of_our_crates() {
    assert_eq!(
        table("Cargo.toml")["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
    for path in ["Cargo.toml", "loadtest/Cargo.toml"] {
        assert_eq!(table(path)["lints"]["workspace"].as_bool(), Some(true), "{path}");
    }
    // A workspace of its own.
    assert_eq!(
        table("tests/fuzz/Cargo.toml")["lints"]["rust"]["unsafe_code"].as_str(),
        Some("forbid")
    );
}

/// What `.deny.toml` lists.
fn listed(rules: &Table, section: &str, name: &str) -> Vec<String> {
    let list = rules[section][name].as_array().expect("a list");
    list.iter()
        .map(|word| word.as_str().expect("text").to_owned())
        .collect()
}

/// What we and all that we are built of is, for the machines that `.deny.toml` names.
fn metadata(rules: &Table) -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    cargo.args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--offline",
        "--all-features",
    ]);
    for target in listed(rules, "graph", "targets") {
        cargo.args(["--filter-platform", &target]);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().expect("a list")
}

#[test]
fn all_that_it_is_built_of_comes_from_the_registry_and_nothing_of_it_is_banned() {
    let rules = table(".deny.toml");
    for unknown in ["unknown-registry", "unknown-git"] {
        assert_eq!(rules["sources"][unknown].as_str(), Some("deny"));
    }
    let banned = listed(&rules, "bans", "deny");
    let metadata = metadata(&rules);
    let packages = list(&metadata, "packages");
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        match package["source"].as_str() {
            Some(source) => assert_eq!(
                source, "registry+https://github.com/rust-lang/crates.io-index",
                "{name}"
            ),
            None => assert!(list(&metadata, "workspace_members").contains(&package["id"]), "{name}"),
        }
        assert!(!banned.iter().any(|banned| banned == name), "{name}");
    }
}

#[test]
fn all_that_the_programs_contain_is_under_a_licence_that_allows_it() {
    let rules = table(".deny.toml");
    let allowed = listed(&rules, "licenses", "allow");
    let metadata = metadata(&rules);
    let mut contained = list(&metadata, "workspace_members").to_vec();
    let mut looked_at = 0;
    while let Some(id) = contained.get(looked_at).cloned() {
        looked_at += 1;
        let is_it = |one: &&Value| one["id"] == id;
        let package = list(&metadata, "packages").iter().find(is_it).expect("is described");
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &allowed), "{id}: {licence}");
        let node = list(&metadata["resolve"], "nodes")
            .iter()
            .find(is_it)
            .expect("is resolved");
        for dependency in list(node, "deps") {
            // What only tests use is in no program.
            let is_in = list(dependency, "dep_kinds").iter().any(|kind| kind["kind"] != "dev");
            if is_in && !contained.contains(&dependency["pkg"]) {
                contained.push(dependency["pkg"].clone());
            }
        }
    }
    assert!(looked_at > 100);
}

/// Whether a licence expression (SPDX, or `A/B` as it was once written) can be met with licences that are allowed.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    any_is_met(&mut words, allowed) && words.next().is_none()
}

fn any_is_met<'e>(words: &mut Peekable<impl Iterator<Item = &'e str>>, allowed: &[String]) -> bool {
    let mut met = all_are_met(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_are_met(words, allowed);
    }
    met
}

fn all_are_met<'e>(words: &mut Peekable<impl Iterator<Item = &'e str>>, allowed: &[String]) -> bool {
    let mut met = one_is_met(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one_is_met(words, allowed);
    }
    met
}

fn one_is_met<'e>(words: &mut Peekable<impl Iterator<Item = &'e str>>, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        return any_is_met(words, allowed) & words.next_if_eq(&")").is_some();
    }
    let mut licence = words.next().unwrap_or_default().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&licence)
}

#[test]
fn a_licence_is_read_as_it_is_written() {
    let allowed = ["MIT", "ISC", "GPL-2.0 WITH exception"].map(str::to_owned);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-2.0", false),
        ("", false),
        ("GPL-2.0 OR MIT", true),
        ("GPL-2.0/MIT", true),
        ("GPL-2.0 / MIT", true),
        ("MIT AND GPL-2.0", false),
        ("MIT AND ISC", true),
        ("MIT OR ISC AND GPL-2.0", true),
        ("(MIT OR ISC) AND GPL-2.0", false),
        ("(GPL-2.0 OR MIT) AND (ISC)", true),
        ("GPL-2.0 WITH exception", true),
        ("MIT WITH exception", false),
        ("MIT WITH exception OR ISC", true),
        ("(MIT", false),
        ("MIT)", false),
        ("MIT ISC", false),
        ("MIT AND", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}
