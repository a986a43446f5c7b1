//! Two programs that verify transcripts of draws and share no code with the server.

use std::path::{Path, PathBuf};
use std::process::Command as Program;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a verifier on files; whether it was content with all, and with each.
pub(crate) fn verdicts(program: &str, script: &str, files: &[PathBuf]) -> (bool, Vec<bool>) {
    let output = Program::new(program).arg(root().join(script)).args(files).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    let said = String::from_utf8(output.stdout).unwrap();
    let each: Vec<bool> = said.lines().map(|line| line.contains(": ok: ")).collect();
    assert_eq!(
        each.len(),
        files.len(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), each)
}

/// The page's, and the one in Python that was written from the guide alone.
pub(crate) const VERIFIERS: [(&str, &str); 2] =
    [("node", "tests/verify_draw.mjs"), ("python3", "tests/verify_draw.py")];
