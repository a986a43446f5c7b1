//! `hubbub token`.

use super::{Configured, Failure, TokenKind};
use crate::auth::{Auth, random_u128};
use crate::room::{PersonId, Timestamp, ViewerId};
use crate::{serve, upkeep};

pub(super) fn run(kind: TokenKind) -> Result<(), Failure> {
    match kind {
        TokenKind::Operator {
            link: false,
            configured,
        } => {
            let Maker { auth, now, .. } = maker(configured)?;
            println!("{}", auth.operator_token(PersonId(random_u128()), now).token);
        }
        TokenKind::Operator { link: true, configured } => {
            let Maker { auth, now, home } = maker(configured)?;
            println!("{}", sign_in_link(&home, &sign_in_code(&auth, now)));
        }
        TokenKind::Store(configured) => {
            let Maker { auth, now, .. } = maker(configured)?;
            let person = PersonId(random_u128());
            println!("{}", auth.all_rooms_store_token(person, now).token);
            // Beside the token, so that a script reads the token alone.
            eprintln!("shop {person}: as an operator, DELETE /api/v1/devices/{person} revokes it");
        }
        TokenKind::Viewer(configured) => {
            let Maker { auth, now, .. } = maker(configured)?;
            println!("{}", auth.viewer_token(ViewerId(random_u128()), now));
        }
    }
    Ok(())
}

/// What it takes to make a token.
struct Maker {
    auth: Auth,
    /// The server's time, by which it will be judged.
    now: Timestamp,
    /// What links begin with.
    home: String,
}

/// A secret that is not there yet is made, as by the server.
fn maker(configured: Configured) -> Result<Maker, Failure> {
    let config = configured.read()?;
    Ok(Maker {
        auth: serve::auth(&config).map_err(Failure::other)?,
        now: upkeep::time_in(&config.data),
        home: config.page_url(),
    })
}

/// A code that makes one browser an operator's device.
pub(super) fn sign_in_code(auth: &Auth, now: Timestamp) -> String {
    auth.sign_in_code(now).token
}

/// The code stands in the fragment, which no server and no log ever sees.
pub(super) fn sign_in_link(home: &str, code: &str) -> String {
    format!("{home}/#sign-in={code}")
}
