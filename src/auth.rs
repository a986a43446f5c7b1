//! Who somebody is: signed tokens. What they may do stands in the room's own state.
//!
//! | token | says | lasts |
//! |---|---|---|
//! | viewer | the lasting identity of an anonymous viewer, of all rooms | [`VIEWER_MS`], renewed by a join after half of it |
//! | staff | one person's device, of one room | [`DEVICE_MS`] |
//! | store | a shop's role, of one room | [`STORE_MS`] |
//! | store of all rooms | a shop that checks and redeems codes in every room | [`STORE_MS`], until revoked |
//! | operator | one operator's device | [`DEVICE_MS`], until revoked |
//! | sign-in code | may become an operator's device, once | [`SIGN_IN_MS`] |
//! | a store's viewer token | a customer of the shop, by the shop's own key | as it says |
//!
//! All are JSON Web Tokens (RFC 7519). Ours are HS256 under the [`SigningSecret`]; a shop's have the one
//! algorithm that was configured with its key. The token's header chooses nothing: neither key nor algorithm.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use parking_lot::RwLock;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::room::staff::DEVICE_MS;
use crate::room::{PersonId, RoomId, Timestamp, ViewerId};

/// How long a viewer's token lasts: 400 days, the longest that browsers keep a cookie.
pub const VIEWER_MS: u64 = 400 * 24 * 3_600_000;
/// How long a shop's token lasts: it stands in a shop's configuration, where nobody signs in again.
pub const STORE_MS: u64 = 400 * 24 * 3_600_000;
/// How long a sign-in code can be used.
pub const SIGN_IN_MS: u64 = 10 * 60_000;
/// The longest token that is read.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// How far another clock, or our own before a restart, may be ahead.
const AHEAD_MS: u64 = 60_000;

/// The issuer of our own tokens, and the audience of a shop's.
pub const ISSUER: &str = "hubbub";
const VIEWER: &str = "hubbub/viewer";
const STAFF: &str = "hubbub/staff";
const OPERATOR: &str = "hubbub/operator";
const STORE: &str = "hubbub/store";
const SIGN_IN: &str = "hubbub/sign-in";

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A viewer, of all rooms.
    Viewer {
        /// Lasting identity.
        id: ViewerId,
        /// The nickname that the store's token brings.
        name: Option<String>,
        /// The token was the store's own.
        store: bool,
        /// Until when.
        expires_at: Timestamp,
    },
    /// A device of a member of staff, of one room.
    Staff {
        /// Of which room.
        room: RoomId,
        /// Who.
        person: PersonId,
        /// Until when.
        expires_at: Timestamp,
    },
    /// A shop, of all rooms.
    Store {
        /// Which: each token is a person of its own, so that one can be revoked.
        person: PersonId,
        /// Until when.
        expires_at: Timestamp,
    },
    /// An operator's device.
    Operator {
        /// Which: each sign-in is a person of its own, so that one device can be revoked.
        person: PersonId,
        /// Until when.
        expires_at: Timestamp,
    },
}

/// The token is missing, malformed, not ours, expired, revoked, or not for this: one error for all, so that
/// nobody learns which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid here")]
pub struct BadToken;

/// A token just made.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token: a secret of whoever it is for.
    pub token: String,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issued(until {})", self.expires_at.0)
    }
}

/// The 32 bytes under which our own tokens are signed. Written as 64 hexadecimal digits, never in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret([u8; 32]);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// A text is not a signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is 64 hexadecimal digits, as `openssl rand -hex 32` makes them")]
pub struct BadSecret;

impl FromStr for SigningSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let hash: crate::room::Hash = text.trim().parse().map_err(|_| BadSecret)?;
        Ok(Self(hash.0))
    }
}

impl SigningSecret {
    /// Reads `secret` in the data folder; makes it, and the folder, if there is none. Of several processes
    /// that start at once one makes it and all read the same.
    ///
    /// # Errors
    ///
    /// The folder cannot be read or written, or the file holds something else.
    pub fn load_or_create(data: &Path) -> io::Result<Self> {
        let path = data.join("secret");
        match std::fs::read_to_string(&path) {
            Ok(text) => text
                .parse()
                .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::create(data, &path)?;
                Self::load_or_create(data)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a fresh one aside and links it to its place, which fails if another process was first: nobody
    /// ever reads half a secret.
    fn create(data: &Path, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(data)?;
        let aside = data.join(format!(".secret-{:016x}", random_u128() as u64));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh)?;
        let written = writeln!(file, "{}", crate::room::Hash(fresh))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::hard_link(&aside, path));
        std::fs::remove_file(&aside)?;
        match written {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::open(data)?.sync_all(),
        }
    }
}

/// The key under which a shop signs tokens of its own viewers, with the one algorithm that it is for.
///
/// Such a token has `iss` as configured, `aud` `hubbub`, `exp`, `sub` (the shop's id of the customer), and
/// optionally `name`, `nbf`, `iat`.
#[derive(Clone)]
pub struct StoreKey {
    issuer: String,
    key: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({:?} of {})", self.validation.algorithms, self.issuer)
    }
}

/// Why a shop's key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStoreKey {
    /// Not one of the four.
    #[error("the algorithm of the store's key is HS256, RS256, ES256 or EdDSA")]
    Algorithm,
    /// Too easily guessed.
    #[error("a store's HS256 key has at least 32 bytes (RFC 7518, 3.2)")]
    Short,
    /// Not a PEM of the algorithm's kind.
    #[error("the store's key is not a public key in PEM for this algorithm")]
    Pem,
    /// Empty, or our own.
    #[error("the issuer of the store's tokens is missing, or is `hubbub`")]
    Issuer,
}

impl StoreKey {
    /// What a shop may sign with.
    pub const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];

    /// A key for `algorithm`: the shared secret's bytes for HS256, else the public key as PEM.
    ///
    /// # Errors
    ///
    /// See [`BadStoreKey`].
    pub fn new(algorithm: &str, key: &[u8], issuer: &str) -> Result<Self, BadStoreKey> {
        if issuer.is_empty() || issuer == ISSUER {
            return Err(BadStoreKey::Issuer);
        }
        let (algorithm, key) = match algorithm {
            "HS256" if key.len() < 32 => return Err(BadStoreKey::Short),
            "HS256" => (Algorithm::HS256, Ok(DecodingKey::from_secret(key))),
            "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(key)),
            "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(key)),
            "EdDSA" => (Algorithm::EdDSA, DecodingKey::from_ed_pem(key)),
            _ => return Err(BadStoreKey::Algorithm),
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            key: key.map_err(|_| BadStoreKey::Pem)?,
            validation: validation(algorithm, issuer, &[ISSUER]),
        })
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, BadToken> {
        let claims: StoreClaims = decode(token, &self.key, &self.validation)?;
        valid_at(now, claims.nbf, claims.iat, claims.exp)?;
        if claims.sub.is_empty() {
            return Err(BadToken);
        }
        Ok(Identity::Viewer {
            id: self.viewer(&claims.sub),
            name: claims.name,
            store: true,
            expires_at: Timestamp(claims.exp.saturating_mul(1_000)),
        })
    }

    /// The viewer whom the shop calls `subject`: the same on every device and after every restart.
    fn viewer(&self, subject: &str) -> ViewerId {
        let digest = Sha256::new()
            .chain_update((self.issuer.len() as u64).to_be_bytes())
            .chain_update(&self.issuer)
            .chain_update(subject)
            .finalize();
        let (id, _) = digest.split_at(16);
        ViewerId(id.iter().fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }
}

/// Makes and verifies tokens. Verifying one of ours costs a few microseconds.
pub struct Auth {
    /// Signs; its key is the first of `own`.
    signing: EncodingKey,
    /// The secret's key, and the former one's while rotating.
    own: Vec<DecodingKey>,
    identity: Validation,
    sign_in: Validation,
    /// The store's key, and its former one while rotating.
    stores: Vec<StoreKey>,
    secret: SigningSecret,
    revoked: RwLock<BTreeSet<PersonId>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({} keys, stores {:?})", self.own.len(), self.stores)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomId>,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

#[derive(Deserialize)]
struct StoreClaims {
    /// One: the validation would take a list with the right one in it.
    #[serde(rename = "iss")]
    _issuer: String,
    sub: String,
    name: Option<String>,
    #[serde(deserialize_with = "seconds")]
    exp: u64,
    #[serde(default, deserialize_with = "some_seconds")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "some_seconds")]
    iat: Option<u64>,
}

/// A NumericDate (RFC 7519, 2): seconds, perhaps with a fraction, which is cut off.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number
        .as_u64()
        .or_else(|| number.as_f64().filter(|s| *s >= 0.0).map(|s| s as u64));
    whole.ok_or_else(|| D::Error::custom("not a date"))
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seconds(deserializer).map(Some)
}

impl Auth {
    /// Tokens are signed under `secret`; those signed under `previous` are still taken, while rotating. A store's own are
    /// taken under each of `stores`.
    pub fn new(secret: SigningSecret, previous: Option<SigningSecret>, stores: Vec<StoreKey>) -> Self {
        let keys = std::iter::once(&secret).chain(&previous);
        Self {
            signing: EncodingKey::from_secret(&secret.0),
            own: keys.map(|key| DecodingKey::from_secret(&key.0)).collect(),
            identity: validation(Algorithm::HS256, ISSUER, &[VIEWER, STAFF, STORE, OPERATOR]),
            sign_in: validation(Algorithm::HS256, ISSUER, &[SIGN_IN]),
            stores,
            secret,
            revoked: RwLock::default(),
        }
    }

    /// Verifies a token.
    ///
    /// # Errors
    ///
    /// [`BadToken`], whatever is wrong.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, BadToken> {
        match self.own(token, &self.identity, now) {
            Ok(claims) => self.identity(claims),
            Err(BadToken) => {
                let mut verified = self.stores.iter().map(|store| store.verify(token, now));
                verified.find(Result::is_ok).unwrap_or(Err(BadToken))
            }
        }
    }

    /// Whether an operator's device, or a shop of all rooms, was revoked: asked again and again of open sockets.
    pub fn is_revoked(&self, person: PersonId) -> bool {
        self.revoked.read().contains(&person)
    }

    /// Whose device a sign-in code makes. Whether it was used already is the house's to say.
    ///
    /// # Errors
    ///
    /// [`BadToken`], whatever is wrong.
    pub fn verify_sign_in(&self, code: &str, now: Timestamp) -> Result<PersonId, BadToken> {
        self.own(code, &self.sign_in, now)?.sub.parse().map_err(|_| BadToken)
    }

    /// A token for a viewer's lasting identity.
    pub fn viewer_token(&self, id: ViewerId, now: Timestamp) -> String {
        self.issue(VIEWER, id.to_string(), None, now, VIEWER_MS).token
    }

    /// A token for a device of a member of a room's staff.
    pub fn staff_token(&self, room: &RoomId, person: PersonId, now: Timestamp) -> Issued {
        self.issue(STAFF, person.to_string(), Some(room), now, DEVICE_MS)
    }

    /// A token for a shop, which is a member of the room's staff with the role of a store.
    pub fn store_token(&self, room: &RoomId, person: PersonId, now: Timestamp) -> Issued {
        self.issue(STAFF, person.to_string(), Some(room), now, STORE_MS)
    }

    /// A token for a shop that checks and redeems codes in every room.
    pub fn all_rooms_store_token(&self, person: PersonId, now: Timestamp) -> Issued {
        self.issue(STORE, person.to_string(), None, now, STORE_MS)
    }

    /// A token for an operator's device.
    pub fn operator_token(&self, person: PersonId, now: Timestamp) -> Issued {
        self.issue(OPERATOR, person.to_string(), None, now, DEVICE_MS)
    }

    /// A code for one sign-in of an operator's device, which is a new person: it stands in a link's fragment.
    pub fn sign_in_code(&self, now: Timestamp) -> Issued {
        self.issue(SIGN_IN, fresh_person().to_string(), None, now, SIGN_IN_MS)
    }

    /// Takes no token of this operator's device, or shop of all rooms, any more.
    pub fn revoke(&self, person: PersonId) {
        self.revoked.write().insert(person);
    }

    /// A key of its own for a purpose (`addresses`, say), derived from the secret: the same after a restart.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret.0).expect("HMAC takes keys of any length");
        mac.chain_update(purpose).finalize().into_bytes().into()
    }

    fn identity(&self, claims: Claims) -> Result<Identity, BadToken> {
        let expires_at = Timestamp(claims.exp.saturating_mul(1_000));
        let identity = match (claims.aud.as_str(), claims.room) {
            (VIEWER, None) => Identity::Viewer {
                id: claims.sub.parse().map_err(|_| BadToken)?,
                name: None,
                store: false,
                expires_at,
            },
            (STAFF, Some(room)) => Identity::Staff {
                room,
                person: claims.sub.parse().map_err(|_| BadToken)?,
                expires_at,
            },
            (STORE, None) => Identity::Store {
                person: claims.sub.parse().map_err(|_| BadToken)?,
                expires_at,
            },
            (OPERATOR, None) => Identity::Operator {
                person: claims.sub.parse().map_err(|_| BadToken)?,
                expires_at,
            },
            _ => return Err(BadToken),
        };
        match &identity {
            Identity::Operator { person, .. } | Identity::Store { person, .. } if self.is_revoked(*person) => {
                Err(BadToken)
            }
            _ => Ok(identity),
        }
    }

    fn own(&self, token: &str, validation: &Validation, now: Timestamp) -> Result<Claims, BadToken> {
        let decoded = self
            .own
            .iter()
            .find_map(|key| decode::<Claims>(token, key, validation).ok());
        let claims = decoded.ok_or(BadToken)?;
        valid_at(now, Some(claims.nbf), Some(claims.iat), claims.exp)?;
        Ok(claims)
    }

    fn issue(&self, audience: &str, subject: String, room: Option<&RoomId>, now: Timestamp, lasts_ms: u64) -> Issued {
        let (made, ends) = (now.0 / 1_000, now.plus(lasts_ms).0 / 1_000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: audience.to_owned(),
            sub: subject,
            room: room.cloned(),
            iat: made,
            nbf: made,
            exp: ends,
            jti: format!(
                "{:016x}",
                getrandom::u64().expect("the operating system gives random bytes")
            ),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing);
        Issued {
            token: token.expect("claims are plain JSON, and the key is of the algorithm's family"),
            expires_at: Timestamp(ends * 1_000),
        }
    }
}

/// A person whom nobody knows yet: a new device of an operator.
pub fn fresh_person() -> PersonId {
    PersonId(random_u128())
}

/// 16 bytes of the operating system's generator.
pub(crate) fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u128::from_be_bytes(bytes)
}

/// Times are checked by [`valid_at`] against the server's own clock.
fn validation(algorithm: Algorithm, issuer: &str, audiences: &[&str]) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.validate_exp = false;
    validation
}

fn decode<T: DeserializeOwned>(token: &str, key: &DecodingKey, validation: &Validation) -> Result<T, BadToken> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken);
    }
    let TokenData { header, claims } = jsonwebtoken::decode(token, key, validation).map_err(|_| BadToken)?;
    // An extension that must be understood is one that we do not understand (RFC 7515, 4.1.11).
    match header.crit {
        Some(_) => Err(BadToken),
        None => Ok(claims),
    }
}

fn valid_at(now: Timestamp, nbf: Option<u64>, iat: Option<u64>, exp: u64) -> Result<(), BadToken> {
    let begun = |seconds: Option<u64>| seconds.is_none_or(|s| s.saturating_mul(1_000) <= now.plus(AHEAD_MS).0);
    let ended = exp.saturating_mul(1_000) <= now.0;
    if begun(nbf) && begun(iat) && !ended {
        Ok(())
    } else {
        Err(BadToken)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const SECONDS: u64 = NOW.0 / 1_000;
    const RS_PRIVATE: &[u8] = include_bytes!("../tests/keys/rs256.pem");
    const RS_PUBLIC: &[u8] = include_bytes!("../tests/keys/rs256.pub.pem");
    const SHOP: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn secret(byte: u8) -> SigningSecret {
        SigningSecret([byte; 32])
    }

    fn auth() -> Auth {
        Auth::new(secret(1), None, Vec::new())
    }

    fn with_store(algorithm: &str, key: &[u8]) -> Auth {
        let store = StoreKey::new(algorithm, key, "shop").unwrap();
        Auth::new(secret(1), None, vec![store])
    }

    fn room() -> RoomId {
        RoomId::new("lipsticks").unwrap()
    }

    /// A token with any header and claims, signed by HMAC-SHA-256 under any key.
    fn forged(header: &Value, claims: &str, key: &[u8]) -> String {
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims));
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&signed);
        format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
    }

    fn own_claims() -> Value {
        json!({"iss": ISSUER, "aud": VIEWER, "sub": ViewerId(7).to_string(), "jti": "a",
            "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 60})
    }

    fn signed(claims: &Value) -> String {
        forged(&json!({"alg": "HS256"}), &claims.to_string(), &[1; 32])
    }

    fn changed(field: &str, value: Value) -> String {
        let mut claims = own_claims();
        claims[field] = value;
        signed(&claims)
    }

    fn without(field: &str) -> String {
        let mut claims = own_claims();
        claims.as_object_mut().unwrap().remove(field);
        signed(&claims)
    }

    #[track_caller]
    fn bad(auth: &Auth, token: &str) {
        assert_eq!(auth.verify(token, NOW), Err(BadToken), "{token}");
    }

    #[test]
    fn each_kind_of_token_says_who_it_was_made_for() {
        let auth = auth();
        let (viewer, person) = (ViewerId(7), PersonId(9));
        assert_eq!(
            auth.verify(&auth.viewer_token(viewer, NOW), NOW),
            Ok(Identity::Viewer {
                id: viewer,
                name: None,
                store: false,
                expires_at: NOW.plus(VIEWER_MS)
            })
        );
        let staff = auth.staff_token(&room(), person, NOW);
        assert_eq!(
            auth.verify(&staff.token, NOW),
            Ok(Identity::Staff {
                room: room(),
                person,
                expires_at: NOW.plus(DEVICE_MS)
            })
        );
        let operator = auth.operator_token(person, NOW);
        assert_eq!(
            auth.verify(&operator.token, NOW),
            Ok(Identity::Operator {
                person,
                expires_at: operator.expires_at
            })
        );
        let code = auth.sign_in_code(NOW).token;
        let device = auth.verify_sign_in(&code, NOW).unwrap();
        assert_eq!(auth.verify_sign_in(&code, NOW), Ok(device));
        assert_ne!(auth.verify_sign_in(&auth.sign_in_code(NOW).token, NOW), Ok(device));
    }

    #[test]
    fn a_sign_in_code_is_no_token_and_a_token_no_sign_in_code() {
        let auth = auth();
        bad(&auth, &auth.sign_in_code(NOW).token);
        for token in [
            auth.operator_token(PersonId(9), NOW).token,
            auth.viewer_token(ViewerId(9), NOW),
        ] {
            assert_eq!(auth.verify_sign_in(&token, NOW), Err(BadToken));
        }
    }

    #[test]
    fn a_token_ends_at_its_millisecond() {
        let auth = auth();
        let staff = auth.staff_token(&room(), PersonId(9), NOW);
        let last = Timestamp(staff.expires_at.0 - 1);
        assert!(auth.verify(&staff.token, last).is_ok());
        assert_eq!(auth.verify(&staff.token, staff.expires_at), Err(BadToken));
        let code = auth.sign_in_code(NOW);
        assert_eq!(auth.verify_sign_in(&code.token, NOW.plus(SIGN_IN_MS)), Err(BadToken));
    }

    #[test]
    fn a_shop_of_all_rooms_is_one_until_it_is_revoked() {
        let auth = auth();
        let store = auth.all_rooms_store_token(PersonId(9), NOW);
        let identity = Identity::Store {
            person: PersonId(9),
            expires_at: NOW.plus(STORE_MS),
        };
        assert_eq!(auth.verify(&store.token, NOW), Ok(identity));
        auth.revoke(PersonId(9));
        bad(&auth, &store.token);
    }

    #[test]
    fn a_revoked_operators_device_is_nobody_at_once() {
        let auth = auth();
        let token = auth.operator_token(PersonId(9), NOW).token;
        assert!(auth.verify(&token, NOW).is_ok() && !auth.is_revoked(PersonId(9)));
        auth.revoke(PersonId(9));
        bad(&auth, &token);
        assert!(auth.is_revoked(PersonId(9)));
        assert!(auth.verify(&auth.operator_token(PersonId(8), NOW).token, NOW).is_ok());
    }

    #[test]
    fn two_secrets_are_good_while_rotating_and_one_afterwards() {
        let old = auth().viewer_token(ViewerId(7), NOW);
        let rotating = Auth::new(secret(2), Some(secret(1)), Vec::new());
        assert!(rotating.verify(&old, NOW).is_ok());
        let new = rotating.viewer_token(ViewerId(7), NOW);
        bad(&auth(), &new);
        let rotated = Auth::new(secret(2), None, Vec::new());
        assert!(rotated.verify(&new, NOW).is_ok());
        bad(&rotated, &old);
    }

    #[test]
    fn two_keys_of_a_shop_are_good_while_rotating_for_the_same_customer() {
        const NEXT: &[u8] = b"the shop's next secret, which is long enough";
        let stores = |keys: &[&[u8]]| {
            let stores = keys.iter().map(|key| StoreKey::new("HS256", key, "shop").unwrap());
            Auth::new(secret(1), None, stores.collect())
        };
        let [old, new] =
            [SHOP, NEXT].map(|key| by_shop(Algorithm::HS256, &EncodingKey::from_secret(key), &shop_claims()));
        let rotating = stores(&[NEXT, SHOP]);
        assert!(rotating.verify(&new, NOW).is_ok());
        assert_eq!(rotating.verify(&old, NOW), rotating.verify(&new, NOW));
        bad(&rotating, &new[1..]);
        bad(&stores(&[SHOP]), &new);
        bad(&stores(&[NEXT]), &old);
    }

    #[test]
    fn a_token_that_is_cut_emptied_or_altered_is_bad() {
        let auth = auth();
        let token = auth.viewer_token(ViewerId(7), NOW);
        let (unsigned, signature) = token.rsplit_once('.').unwrap();
        for cut in 0..token.len() {
            bad(&auth, &token[..cut]);
        }
        bad(&auth, &format!("{unsigned}."));
        bad(&auth, &format!("{unsigned}.{signature}A"));
        bad(&auth, &format!("{token}.{signature}"));
        bad(&auth, &format!("{}.{}", unsigned.split('.').next().unwrap(), signature));
        bad(&auth, &format!(" {token}"));
        bad(&auth, "\u{0}..");
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            bad(&auth, std::str::from_utf8(&bytes).unwrap());
        }
    }

    #[test]
    fn no_algorithm_but_the_keys_own_is_taken() {
        let auths = [auth(), with_store("HS256", SHOP), with_store("RS256", RS_PUBLIC)];
        let claims = own_claims().to_string();
        for auth in &auths {
            for name in [
                "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256",
            ] {
                let token = forged(&json!({"alg": name}), &claims, &[1; 32]);
                bad(auth, &token);
                let (unsigned, _) = token.rsplit_once('.').unwrap();
                bad(auth, &format!("{unsigned}."));
                bad(auth, unsigned);
            }
            bad(auth, &forged(&json!({}), &claims, &[1; 32]));
            bad(auth, &forged(&json!({"alg": ["HS256"]}), &claims, &[1; 32]));
        }
    }

    #[test]
    fn every_claim_is_required_and_must_fit() {
        let auth = auth();
        assert!(auth.verify(&signed(&own_claims()), NOW).is_ok());
        for field in ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"] {
            bad(&auth, &without(field));
            bad(&auth, &changed(field, Value::Null));
        }
        let text = SECONDS.to_string();
        for exp in [
            json!(SECONDS),
            json!(0),
            json!(-1),
            json!(text),
            json!(1e30),
            json!([SECONDS + 60]),
            json!(true),
        ] {
            bad(&auth, &changed("exp", exp));
        }
        for field in ["nbf", "iat"] {
            assert!(auth.verify(&changed(field, json!(SECONDS + 60)), NOW).is_ok());
            bad(&auth, &changed(field, json!(SECONDS + 61)));
            bad(&auth, &changed(field, json!(u64::MAX)));
        }
        for audience in [
            json!("hubbub"),
            json!(SIGN_IN),
            json!(STAFF),
            json!("hubbub/viewer "),
            json!([VIEWER]),
            json!(""),
        ] {
            bad(&auth, &changed("aud", audience));
        }
        for issuer in [json!("shop"), json!("Hubbub"), json!(""), json!([ISSUER])] {
            bad(&auth, &changed("iss", issuer));
        }
        for subject in [json!(""), json!("7"), json!("'; --"), json!(7)] {
            bad(&auth, &changed("sub", subject));
        }
        bad(&auth, &changed("room", json!("lipsticks")));
    }

    #[test]
    fn numbers_beyond_numbers_and_doubled_claims_are_bad() {
        let auth = auth();
        let claims = own_claims().to_string();
        let exp = format!("\"exp\":{}", SECONDS + 60);
        for hostile in [
            "\"exp\":1e400",
            "\"exp\":1e19",
            "\"exp\":NaN",
            "\"exp\":18446744073709551616",
        ] {
            bad(
                &auth,
                &forged(&json!({"alg": "HS256"}), &claims.replace(&exp, hostile), &[1; 32]),
            );
        }
        let doubled = claims.replace(&exp, &format!("{exp},\"exp\":9999999999"));
        bad(&auth, &forged(&json!({"alg": "HS256"}), &doubled, &[1; 32]));
        bad(&auth, &forged(&json!({"alg": "HS256"}), "[]", &[1; 32]));
        bad(&auth, &forged(&json!({"alg": "HS256"}), &"[".repeat(2_000), &[1; 32]));
    }

    #[test]
    fn a_hostile_header_chooses_nothing() {
        let auth = auth();
        let claims = own_claims().to_string();
        for kid in [
            "../../../../dev/null",
            "' OR 1=1 --",
            "http://evil.example/key",
            "\u{0}",
        ] {
            let header =
                json!({"alg": "HS256", "kid": kid, "jku": "http://evil.example", "x5u": "http://evil.example"});
            assert!(
                auth.verify(&forged(&header, &claims, &[1; 32]), NOW).is_ok(),
                "ignored under our key"
            );
            bad(&auth, &forged(&header, &claims, b""));
            bad(&auth, &forged(&header, &claims, kid.as_bytes()));
        }
        let own_key = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": BASE64.encode([3; 32])}});
        bad(&auth, &forged(&own_key, &claims, &[3; 32]));
        let critical = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
        bad(&auth, &forged(&critical, &claims, &[1; 32]));
    }

    #[test]
    fn an_overlong_token_is_not_read() {
        let auth = auth();
        bad(&auth, &changed("jti", json!("x".repeat(TOKEN_BYTES_MAX))));
    }

    fn shop_claims() -> Value {
        json!({"iss": "shop", "aud": "hubbub", "sub": "customer 12", "name": "Ann", "exp": SECONDS + 60})
    }

    fn by_shop(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
    }

    #[test]
    fn a_shops_token_is_taken_under_each_of_the_four_algorithms() {
        let ec = EncodingKey::from_ec_pem(include_bytes!("../tests/keys/es256.pem")).unwrap();
        let ed = EncodingKey::from_ed_pem(include_bytes!("../tests/keys/eddsa.pem")).unwrap();
        let cases: [(_, _, &[u8]); 4] = [
            (Algorithm::HS256, EncodingKey::from_secret(SHOP), SHOP),
            (
                Algorithm::RS256,
                EncodingKey::from_rsa_pem(RS_PRIVATE).unwrap(),
                RS_PUBLIC,
            ),
            (Algorithm::ES256, ec, include_bytes!("../tests/keys/es256.pub.pem")),
            (Algorithm::EdDSA, ed, include_bytes!("../tests/keys/eddsa.pub.pem")),
        ];
        let mut ids = BTreeSet::new();
        for (algorithm, private, public) in cases {
            let auth = with_store(&format!("{algorithm:?}"), public);
            let Ok(Identity::Viewer {
                id, name, store: true, ..
            }) = auth.verify(&by_shop(algorithm, &private, &shop_claims()), NOW)
            else {
                panic!("{algorithm:?}");
            };
            assert_eq!(name.as_deref(), Some("Ann"));
            ids.insert(id);
            assert!(
                auth.verify(&auth.viewer_token(ViewerId(7), NOW), NOW).is_ok(),
                "ours beside it"
            );
            bad(&self::auth(), &by_shop(algorithm, &private, &shop_claims()));
        }
        assert_eq!(ids.len(), 1, "the same customer is the same viewer, whatever the key");
    }

    #[test]
    fn an_id_belongs_to_its_shop() {
        let id = |issuer: &str, subject: &str| StoreKey::new("HS256", SHOP, issuer).unwrap().viewer(subject);
        assert_ne!(id("shop", "1"), id("shop", "2"));
        assert_ne!(id("shop", "1"), id("shop1", ""));
        assert_eq!(id("shop", "1"), id("shop", "1"));
    }

    #[test]
    fn a_shops_claims_must_fit() {
        let auth = with_store("HS256", SHOP);
        let key = EncodingKey::from_secret(SHOP);
        let verify = |field: &str, value: Value| {
            let mut claims = shop_claims();
            claims[field] = value;
            auth.verify(&by_shop(Algorithm::HS256, &key, &claims), NOW)
        };
        assert!(verify("aud", json!(["other", "hubbub"])).is_ok());
        assert!(verify("exp", json!(SECONDS as f64 + 60.5)).is_ok());
        for (field, value) in [
            ("iss", json!(["shop"])),
            ("exp", json!(SECONDS)),
            ("exp", json!((SECONDS + 60).to_string())),
            ("exp", Value::Null),
            ("exp", json!(-1.5)),
            ("nbf", json!(SECONDS + 61)),
            ("iat", json!(SECONDS + 61)),
            ("nbf", json!("now")),
            ("aud", json!(VIEWER)),
            ("aud", Value::Null),
            ("iss", json!(ISSUER)),
            ("iss", Value::Null),
            ("sub", json!("")),
            ("sub", Value::Null),
            ("sub", json!(12)),
            ("name", json!(["Ann"])),
        ] {
            assert_eq!(verify(field, value.clone()), Err(BadToken), "{field} {value}");
        }
    }

    #[test]
    fn a_public_key_is_no_shared_secret_and_a_shared_secret_signs_nothing_of_ours() {
        let auth = with_store("RS256", RS_PUBLIC);
        let claims = shop_claims().to_string();
        bad(&auth, &forged(&json!({"alg": "HS256"}), &claims, RS_PUBLIC));
        bad(&auth, &forged(&json!({"alg": "RS256"}), &claims, RS_PUBLIC));
        bad(
            &auth,
            &forged(&json!({"alg": "HS256"}), &own_claims().to_string(), RS_PUBLIC),
        );
        let rs = EncodingKey::from_rsa_pem(RS_PRIVATE).unwrap();
        bad(&auth, &by_shop(Algorithm::RS256, &rs, &own_claims()));
        bad(&auth, &by_shop(Algorithm::RS384, &rs, &shop_claims()));
        bad(&auth, &by_shop(Algorithm::PS256, &rs, &shop_claims()));
        let shared = with_store("HS256", SHOP);
        bad(&shared, &by_shop(Algorithm::RS256, &rs, &shop_claims()));
        bad(
            &shared,
            &forged(&json!({"alg": "HS256"}), &own_claims().to_string(), SHOP),
        );
        bad(&shared, &forged(&json!({"alg": "HS256"}), &claims, &[1; 32]));
    }

    #[test]
    fn a_shops_key_that_cannot_be_used_is_refused_when_configured() {
        let refused = |algorithm: &str, key: &[u8], issuer: &str| StoreKey::new(algorithm, key, issuer).unwrap_err();
        assert_eq!(refused("none", SHOP, "shop"), BadStoreKey::Algorithm);
        assert_eq!(refused("HS256", &SHOP[1..], "shop"), BadStoreKey::Short);
        assert_eq!(refused("ES256", RS_PUBLIC, "shop"), BadStoreKey::Pem);
        assert_eq!(refused("RS256", b"", "shop"), BadStoreKey::Pem);
        assert_eq!(refused("HS256", SHOP, "hubbub"), BadStoreKey::Issuer);
    }

    #[test]
    fn the_secret_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| SigningSecret::load_or_create(&data)))
                .collect();
            starting
                .into_iter()
                .map(|process| process.join().unwrap().unwrap())
                .collect()
        });
        assert!(secrets.windows(2).all(|two| two[0] == two[1]));
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "nothing is left aside");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(data.join("secret")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(data.join("secret"), "short").unwrap();
        assert_eq!(
            SigningSecret::load_or_create(&data).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = with_store("HS256", SHOP);
        let issued = auth.operator_token(PersonId(9), NOW);
        let shown = format!("{auth:?} {:?} {issued:?} {:?}", secret(1), auth.stores);
        for hidden in ["0101", "1, 1", "01234567", issued.token.as_str()] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
