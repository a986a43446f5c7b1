//! `hubbub-loadtest`: plays a show against a Hubbub server at any address, with thousands of light viewers,
//! and checks that nothing is lost: no gap, no double, no oversell, no acknowledged claim that is missing later.
//!
//! | part | what it is |
//! |---|---|
//! | [`options`], [`profile`] | the command line, made into a [`options::Plan`] |
//! | [`mod@bench`] | what a delivery costs, beside the floor |
//! | [`show`] | the course of a run: room, ramp, talk, draw, rush, storm, checks |
//! | [`crew`], [`worker`] | the threads; one thread with its share of the viewers on one poll; [`viewer`] is one of them, [`talk`] what they say |
//! | [`server`], [`link`] | where the server is, and a viewer's socket to it, with or without TLS |
//! | [`wire`] | just enough of WebSocket and of the messages, without decoding what need not be |
//! | [`follower`], [`observer`], [`faults`] | the cursor rule, what the stage shows, what went wrong |
//! | [`api`], [`http`], [`machine`] | the server's REST, the operating system |
//! | [`tally`], [`report`], [`progress`] | what was counted, and how it is told |

mod api;
mod bench;
mod crew;
mod faults;
mod follower;
mod http;
mod link;
mod machine;
mod observer;
mod options;
mod profile;
mod progress;
mod report;
mod server;
mod show;
mod talk;
mod tally;
mod viewer;
mod wire;
mod worker;

use std::process::ExitCode;

use options::{Failure, Plan, Task};

/// The run was made, and something was not as it must be.
const INCORRECT: u8 = 1;

fn main() -> ExitCode {
    let correct = match options::read() {
        Ok(Task::Show(plan)) => play(&plan),
        Ok(Task::Bench(plan)) => bench::run(&plan),
        Ok(Task::Floor(listen)) => bench::floor(listen),
        Err(asked) => return asked,
    };
    match correct {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INCORRECT),
        Err(failure) => {
            eprintln!("hubbub-loadtest: {failure}");
            Failure::code(&failure).into()
        }
    }
}

/// Says whether everything was as it must be.
fn play(plan: &Plan) -> Result<bool, Failure> {
    let report = show::run(plan)?;
    print!("{report}");
    if let Some(path) = &plan.json {
        report.write(path)?;
    }
    Ok(report.failures.is_empty())
}
