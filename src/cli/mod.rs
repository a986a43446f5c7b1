//! The command line.

mod data;
mod demo;
mod health;
mod print;
mod serve;
mod supervisor;
mod token;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::config::{BadConfig, Config, Options, Secrets};
use crate::room::fair;
use crate::upkeep::Who;

/// The configuration is wrong (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

/// A live-commerce broadcast server: without a command it serves.
#[derive(Debug, Parser)]
#[command(
    name = "hubbub",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 110
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves shows.
    Serve(ServeArguments),
    /// Shows a sample show with a simulated audience, in a data folder that is thrown away.
    Demo(DemoArguments),
    /// Makes a token, with the secret in the data folder.
    Token {
        #[command(subcommand)]
        kind: TokenKind,
    },
    /// Asks the server at --listen whether it is ready: status 0 if so, 1 if not.
    Health(Configured),
    /// Prints what stands beside the server: dashboard, alert rules, unit, Compose file.
    Print {
        #[command(subcommand)]
        what: print::Printed,
    },
    /// Copies the data folder into another one, also while the server runs.
    Backup {
        /// A folder that is empty or not there yet. The secret goes with the data: keep it as safe as that.
        #[arg(value_name = "TO")]
        to: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Brings a backup back into a data folder that is empty or not there yet.
    ///
    /// What was done after the backup is gone: comments, entries, granted codes, revoked devices. Every room begins a new
    /// epoch, so that clients that have seen more start afresh.
    Restore {
        /// The folder that `hubbub backup` made.
        #[arg(value_name = "FROM")]
        from: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Verifies the journal of a data folder or backup: one line for each fault, status 0 if there is none, 1 else.
    Check {
        /// A data folder or backup, instead of the one of --data.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
        #[command(flatten)]
        configured: Configured,
    },
    /// Keeps what is sound of a damaged journal, while no server runs.
    ///
    /// Of each room the longest part from its beginning that is as it was written; every room begins a new epoch. The damaged
    /// files stay in the data folder, under `damaged-` and the time.
    Recover(Configured),
    /// Prints all that the journal holds of one viewer, as JSON; also while the server runs.
    Export {
        /// The viewer's identity, 32 hexadecimal digits; or a room, `/` and the viewer's number in it: `show/7`.
        #[arg(value_name = "VIEWER")]
        who: Who,
        #[command(flatten)]
        configured: Configured,
    },
    /// Erases one viewer's names, texts and contact details from the data folder, while no server runs.
    ///
    /// Claims, entries and wins stay under a number that says nothing of the person, so that counts and draws can still be
    /// verified. Backups keep what they hold.
    Erase {
        /// The viewer, as for `export`.
        #[arg(value_name = "VIEWER")]
        who: Who,
        #[command(flatten)]
        configured: Configured,
    },
    /// Erases everybody's names, texts and contact details of shows that ended long ago, while no server runs.
    ///
    /// Titles, sums, claims, codes and draw transcripts stay. Backups keep what they hold.
    Forget {
        /// Shows that ended more than so many days ago.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        ended_days: u32,
        #[command(flatten)]
        configured: Configured,
    },
    /// Checks a draw's transcript and says what it proves: status 0 if it is sound, 1 if not.
    VerifyDraw {
        /// The transcript, as the draw's page offers it for download.
        #[arg(value_name = "FILE")]
        transcript: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum TokenKind {
    /// An operator's, for one device or program: it may do everything for 30 days.
    Operator {
        /// Instead: a link that signs one browser in, once, within 10 minutes.
        #[arg(long)]
        link: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// A shop's, for all rooms: it checks and redeems codes, nothing else, for 400 days or until revoked.
    Store(Configured),
    /// A new anonymous viewer's, for programs that play viewers.
    Viewer(Configured),
}

#[derive(Debug, Args)]
struct ServeArguments {
    #[command(flatten)]
    configured: Configured,
    /// Prints the configuration as a file and ends.
    #[arg(long)]
    print_config: bool,
    /// Checks the configuration and ends.
    #[arg(long)]
    check_config: bool,
    /// Sends back on /ws/echo what comes there: for `tests/conformance` alone.
    #[arg(long, hide = true)]
    echo: bool,
}

#[derive(Debug, Args)]
struct DemoArguments {
    /// Simulated viewers.
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    viewers: u32,
    #[command(flatten)]
    configured: Configured,
}

/// A file of options, and options over it.
#[derive(Debug, Args)]
struct Configured {
    /// A TOML file with the options below, written with `_` for `-`; flags and environment go over it.
    #[arg(long, env = "HUBBUB_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

impl Configured {
    fn read(self) -> Result<Config, Failure> {
        let file = self.config.as_deref().map(Options::read).transpose()?;
        let config = self
            .options
            .over(file.unwrap_or_default())
            .check(Secrets::from_environment())?;
        Ok(config)
    }
}

/// Why the program ends without having done what it was asked, as one sentence.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] BadConfig),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    fn other(cause: impl ToString) -> Self {
        Self::Other(cause.to_string())
    }
}

/// Does what the arguments say. What goes wrong is one sentence on standard error.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Whoever reads it may stop early.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprintln!("hubbub: a command is missing; `--help` lists them");
            return ExitCode::from(EXIT_USAGE);
        }
        Err(error) => {
            eprintln!("hubbub: {}", first_sentence(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let done = match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Token { kind } => token::run(kind),
        Command::Health(configured) => health::run(configured),
        Command::Print { what } => write_out(&print::text(what)),
        Command::Backup { to, configured } => data::back_up(&to, configured),
        Command::Restore { from, configured } => data::restore(&from, configured),
        Command::Check { folder, configured } => data::check(folder, configured),
        Command::Recover(configured) => data::recover(configured),
        Command::Export { who, configured } => data::export(&who, configured),
        Command::Erase { who, configured } => data::erase(&who, configured),
        Command::Forget { ended_days, configured } => data::forget(ended_days, configured),
        Command::VerifyDraw { transcript } => verify_draw(&transcript),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hubbub: {failure}");
            match failure {
                Failure::Configuration(_) => ExitCode::from(EXIT_USAGE),
                Failure::Other(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// clap's first paragraph on one line; the others repeat the usage.
fn first_sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = paragraph.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// Writes to standard output, of which whoever reads it may want only the beginning.
fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn verify_draw(transcript: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(transcript)
        .map_err(|cause| Failure::other(format!("{} cannot be read: {cause}", transcript.display())))?;
    let report = fair::verify_text(&text).map_err(Failure::Other)?;
    print!("{report}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        let bare = Arguments::try_parse_from(["hubbub", "--drain-seconds", "3"]).expect("is good");
        assert_eq!(bare.serve.configured.options.drain_seconds, Some(3));
        assert!(bare.command.is_none());
        let named = Arguments::try_parse_from(["hubbub", "serve", "--drain-seconds", "3"]).expect("is good");
        assert!(matches!(named.command, Some(Command::Serve(_))));
    }

    #[test]
    fn a_wrong_argument_is_one_sentence() {
        let error = Arguments::try_parse_from(["hubbub", "--listen", "here"]).expect_err("must be refused");
        let sentence = first_sentence(&error);
        assert!(
            sentence.starts_with("invalid value 'here' for '--listen <ADDR>'"),
            "{sentence}"
        );
        assert!(!sentence.contains('\n'));
    }
}
