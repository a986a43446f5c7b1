//! The program: everything is in the library, see [`hubbub::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hubbub::cli::run()
}
