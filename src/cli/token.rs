//! `hubbub token`.

use super::{Configured, Failure, TokenKind};
use crate::auth::{Auth, random_u128};
use crate::clock::Clock;
use crate::room::{PersonId, Timestamp, ViewerId};
use crate::serve;

pub(super) fn run(kind: TokenKind) -> Result<(), Failure> {
    let now = Clock::start().now();
    match kind {
        TokenKind::Operator {
            link: false,
            configured,
        } => {
            let auth = auth(configured)?.0;
            println!("{}", auth.operator_token(PersonId(random_u128()), now).token);
        }
        TokenKind::Operator { link: true, configured } => {
            let (auth, home) = auth(configured)?;
            println!("{}", sign_in_link(&home, &sign_in_code(&auth, now)));
        }
        TokenKind::Store(configured) => {
            let auth = auth(configured)?.0;
            let person = PersonId(random_u128());
            println!("{}", auth.all_rooms_store_token(person, now).token);
            // Beside the token, so that a script reads the token alone.
            eprintln!("shop {person}: as an operator, DELETE /api/v1/devices/{person} revokes it");
        }
        TokenKind::Viewer(configured) => {
            let auth = auth(configured)?.0;
            println!("{}", auth.viewer_token(ViewerId(random_u128()), now));
        }
    }
    Ok(())
}

/// Tokens, and what links begin with. A secret that is not there yet is made, as by the server.
fn auth(configured: Configured) -> Result<(Auth, String), Failure> {
    let config = configured.read()?;
    let auth = serve::auth(&config).map_err(Failure::other)?;
    Ok((auth, config.page_url()))
}

/// A code that makes one browser an operator's device.
pub(super) fn sign_in_code(auth: &Auth, now: Timestamp) -> String {
    auth.sign_in_code(now).token
}

/// The code stands in the fragment, which no server and no log ever sees.
pub(super) fn sign_in_link(home: &str, code: &str) -> String {
    format!("{home}/#sign-in={code}")
}
