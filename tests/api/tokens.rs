//! Attacks on tokens, over REST and the socket, and the end of tokens that were good.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use hubbub::auth::TOKEN_BYTES_MAX;
use hubbub::config::Options;
use hubbub::room::staff::DEVICE_MS;
use hubbub::room::{PersonId, RoomId, Timestamp, ViewerId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use reqwest::header::COOKIE;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt;

use crate::support::client::{Client, Over};
use crate::support::raw::{close_code, masked, websocket_with};
use crate::support::server::Server;

const RS_PRIVATE: &[u8] = include_bytes!("../keys/rs256.pem");
const RS_PUBLIC: &[u8] = include_bytes!("../keys/rs256.pub.pem");
/// How long an open socket may outlive the right on which it rests.
const GRACE: Duration = Duration::from_secs(5);

/// A server that takes the tokens of a shop.
async fn server() -> Server {
    Server::with(Options {
        store_key_file: Some("tests/keys/rs256.pub.pem".into()),
        store_key_algorithm: Some("RS256".to_owned()),
        store_issuer: Some("shop".to_owned()),
        ..Options::default()
    })
    .await
}

/// The server's own key.
fn own_key(server: &Server) -> Vec<u8> {
    let text = std::fs::read_to_string(server.folder.path().join("data/secret")).unwrap();
    let hex = text.trim().as_bytes();
    let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn forged(header: &Value, claims: &str, key: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&signed);
    format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// Claims of an operator.
fn claims() -> Value {
    let now = seconds();
    json!({"iss": "hubbub", "aud": "hubbub/operator", "sub": PersonId(7).to_string(), "jti": "a",
        "iat": now, "nbf": now, "exp": now + 3_600})
}

/// The list of attacks: what, and the token.
fn attacks(server: &Server) -> Vec<(String, String)> {
    let own = own_key(server);
    let plain = json!({"alg": "HS256"});
    let good = forged(&plain, &claims().to_string(), &own);
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let mut attacks = vec![
        ("nonsense".to_owned(), "nonsense".to_owned()),
        ("three dots".to_owned(), "...".to_owned()),
        ("the signature cut off".to_owned(), unsigned.to_owned()),
        ("an empty signature".to_owned(), format!("{unsigned}.")),
        (
            "half a signature".to_owned(),
            format!("{unsigned}.{}", &signature[..20]),
        ),
        (
            "another signature".to_owned(),
            format!("{unsigned}.{}", BASE64.encode([7; 32])),
        ),
        ("too long nonsense".to_owned(), "a".repeat(TOKEN_BYTES_MAX + 1)),
        (
            "good but too long".to_owned(),
            forged(
                &json!({"alg": "HS256", "kid": "a".repeat(TOKEN_BYTES_MAX)}),
                &claims().to_string(),
                &own,
            ),
        ),
    ];
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let token = forged(&json!({"alg": name}), &claims().to_string(), &own);
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        attacks.push((format!("alg {name}, unsigned"), format!("{unsigned}.")));
        attacks.push((format!("alg {name}, signed"), token));
    }
    for name in ["HS384", "HS512", "RS256", "ES256", "EdDSA"] {
        let token = forged(&json!({"alg": name}), &claims().to_string(), &own);
        attacks.push((format!("alg {name} under our secret"), token));
    }
    let shop = json!({"iss": "shop", "aud": "hubbub", "sub": "7", "exp": seconds() + 3_600});
    attacks.push((
        "the shop's public key as a shared secret".to_owned(),
        forged(&plain, &shop.to_string(), RS_PUBLIC),
    ));
    let by_shop = EncodingKey::from_rsa_pem(RS_PRIVATE).unwrap();
    let operator_by_shop = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims(), &by_shop).unwrap();
    attacks.push(("an operator by the shop's key".to_owned(), operator_by_shop));
    let by_the_shop = |claims: &Value| {
        let header = Header::new(Algorithm::RS256);
        jsonwebtoken::encode(&header, claims, &by_shop).unwrap()
    };
    for (field, value) in [
        ("aud", json!("another-shop")),
        ("iss", json!("another-shop")),
        ("exp", json!(seconds() - 1)),
        ("nbf", json!(seconds() + 3_600)),
    ] {
        let mut claims = shop.clone();
        claims[field] = value.clone();
        attacks.push((format!("the shop's with {field} {value}"), by_the_shop(&claims)));
    }
    for field in ["iss", "aud", "sub", "exp"] {
        let without = |claims: &Value| {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(field);
            claims
        };
        attacks.push((
            format!("without {field}"),
            forged(&plain, &without(&claims()).to_string(), &own),
        ));
        attacks.push((format!("the shop's without {field}"), by_the_shop(&without(&shop))));
    }
    for (field, value) in [
        ("exp", json!(seconds() - 1)),
        ("exp", json!((seconds() + 3_600).to_string())),
        ("exp", Value::Null),
        ("nbf", json!(seconds() + 3_600)),
        ("iat", json!(seconds() + 3_600)),
        ("aud", json!("hubbub/sign-in")),
        ("aud", json!("hubbub")),
        ("iss", json!("shop")),
        ("iss", Value::Null),
        ("sub", json!("7")),
    ] {
        let mut claims = claims();
        claims[field] = value.clone();
        attacks.push((format!("{field} {value}"), forged(&plain, &claims.to_string(), &own)));
    }
    let exp = claims()["exp"].to_string();
    let endless = claims().to_string().replace(&exp, "1e400");
    attacks.push(("exp 1e400".to_owned(), forged(&plain, &endless, &own)));
    for kid in ["../../../../dev/null", "' OR 1=1 --", "http://evil.example/key"] {
        let header = json!({"alg": "HS256", "kid": kid, "jku": "http://evil.example/key"});
        attacks.push((format!("kid {kid}"), forged(&header, &claims().to_string(), b"")));
    }
    let critical = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    attacks.push(("crit".to_owned(), forged(&critical, &claims().to_string(), &own)));
    let app = &server.serving.app;
    let now = app.clock.now();
    let long_ago = Timestamp(now.0 - 31 * 24 * 3_600_000);
    let revoked = app.auth.operator_token(PersonId(66), now).token;
    app.auth.revoke(PersonId(66));
    attacks.push(("a sign-in code".to_owned(), app.auth.sign_in_code(now).token));
    attacks.push(("revoked".to_owned(), revoked));
    attacks.push((
        "expired".to_owned(),
        app.auth.operator_token(PersonId(7), long_ago).token,
    ));
    attacks
}

#[tokio::test]
async fn every_attack_gets_one_answer_over_rest_and_one_over_the_socket() {
    let server = server().await;
    server.live_room("show").await;
    let good = forged(&json!({"alg": "HS256"}), &claims().to_string(), &own_key(&server));
    server.get("/devices", &good).await.is(200);
    let shop = json!({"iss": "shop", "aud": "hubbub", "sub": "7", "exp": seconds() + 3_600});
    let by_shop = EncodingKey::from_rsa_pem(RS_PRIVATE).unwrap();
    let customer = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &shop, &by_shop).unwrap();
    server.get("/me", &customer).await.is(200);
    let wanted = server.get("/devices", "").await.text(401);
    let attacks = attacks(&server);
    assert!(attacks.len() > 40, "{}", attacks.len());
    for (what, token) in attacks {
        for told in [
            server.get("/devices", &token).await,
            server.get("/rooms/show", &token).await,
            server.post("/rooms/show/pause", &token, json!({})).await,
        ] {
            assert_eq!(told.text(401), wanted, "{what}");
        }
        for feed in ["stage", "backstage"] {
            let hello = json!({"token": token, "feed": feed});
            let joined = Client::join(server.address, "show", hello).await;
            assert_eq!(joined.err(), Some(Over::Closed(4503)), "{what}");
        }
    }
}

#[tokio::test]
async fn a_token_in_an_address_a_cookie_or_the_handshake_is_none() {
    let server = Server::start().await;
    server.live_room("show").await;
    let operator = &server.operator;
    for (query, headers) in [
        (format!("?token={operator}"), String::new()),
        (format!("?access_token={operator}"), String::new()),
        (String::new(), format!("Cookie: token={operator}\r\n")),
        (String::new(), format!("Authorization: Bearer {operator}\r\n")),
    ] {
        let mut socket = websocket_with(server.address, &format!("show{query}"), &headers).await;
        let hello = masked(0x81, br#"{"id":1,"cmd":"hello","args":{"feed":"backstage"}}"#);
        socket.write_all(&hello).await.unwrap();
        assert_eq!(close_code(&mut socket).await, Some(4503), "{query}{headers}");
    }
    for path in ["/devices", "/me", "/rooms/show/staff"] {
        server.get(path, operator).await.is(200);
        for name in ["token", "access_token"] {
            let addressed = server.get(&format!("{path}?{name}={operator}"), "").await;
            addressed.refused(401, "bad_token");
            let cookie = server.request(Method::GET, path, "");
            let cookie = cookie.header(COOKIE, format!("{name}={operator}"));
            server.send(cookie).await.refused(401, "bad_token");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_room_opens_no_socket() {
    let server = server().await;
    server.live_room("show").await;
    let other = server.live_room("other").await;
    for feed in ["stage", "backstage"] {
        let hello = json!({"token": other, "feed": feed});
        let joined = Client::join(server.address, "show", hello).await;
        assert_eq!(joined.err(), Some(Over::Closed(4503)));
    }
    let unknown = RoomId::new("nosuchroom").unwrap();
    let app = &server.serving.app;
    let stale = app.auth.staff_token(&unknown, PersonId(7), app.clock.now()).token;
    server
        .post("/rooms/show/pause", &stale, json!({}))
        .await
        .refused(403, "not_allowed");
}

#[tokio::test]
async fn an_open_socket_ends_with_its_token() {
    let server = server().await;
    let host = server.live_room("show").await;
    let me = server.get("/me", &host).await.is(200);
    let host = me["staff"]["person"].as_str().unwrap().parse().unwrap();
    let exp = seconds() + 3;
    let claims = json!({"iss": "shop", "aud": "hubbub", "sub": "7", "exp": exp});
    let key = EncodingKey::from_rsa_pem(RS_PRIVATE).unwrap();
    let customer = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let auth = &server.serving.app.auth;
    let issued = Timestamp(exp * 1_000 - DEVICE_MS);
    let staff = auth.staff_token(&RoomId::new("show").unwrap(), host, issued).token;
    let operator = auth.operator_token(PersonId(7), issued).token;
    let mut open = Vec::new();
    for (token, feed) in [(customer, "stage"), (staff, "backstage"), (operator, "backstage")] {
        let hello = json!({"token": token, "feed": feed});
        let client = Client::join(server.address, "show", hello.clone()).await.unwrap();
        open.push((client, hello));
    }
    for (mut client, hello) in open {
        assert_eq!(client.over().await, Over::Closed(4503), "{hello}");
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(exp);
        let late = SystemTime::now().duration_since(end).expect("not before its end");
        assert!(late < GRACE, "{hello}: {late:?}");
        let again = Client::join(server.address, "show", hello).await;
        assert_eq!(again.err(), Some(Over::Closed(4503)));
    }
}

#[tokio::test]
async fn a_role_taken_away_is_gone_on_the_open_socket_at_once() {
    let server = server().await;
    let host = server.live_room("show").await;
    let assistant = server.join("show", json!({"assistant": "all"}), "Mia").await;
    let hello = json!({"token": assistant, "feed": "backstage"});
    let mut mia = Client::join(server.address, "show", hello.clone()).await.unwrap();
    let mut second = Client::join(server.address, "show", hello.clone()).await.unwrap();
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    mia.ask("set_modes", json!({"slow_ms": 1_000})).await.unwrap();

    let me = server.get("/me", &assistant).await.is(200);
    let person = format!("/rooms/show/staff/{}", me["staff"]["person"].as_str().unwrap());
    server.delete(&person, &host).await.is(200);
    let began = Instant::now();
    // Whatever it asks now, nothing of it is done.
    let asked = mia.try_ask("pause", json!({})).await;
    assert!(matches!(asked, Err(_) | Ok(Err(_))), "{asked:?}");
    assert_eq!(second.over().await, Over::Closed(4502));
    assert!(began.elapsed() < GRACE);
    let again = Client::join(server.address, "show", hello).await;
    assert_eq!(again.err(), Some(Over::Closed(4502)));
    assert_eq!(server.get("/rooms/show", "").await.is(200)["show"]["state"], "live");
    ann.ask("comment", json!({"nonce": "1", "text": "still here"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_device_that_is_revoked_has_its_socket_closed_in_time_and_a_shop_that_is_removed_redeems_no_more() {
    let server = server().await;
    let host = server.live_room("show").await;
    let app = &server.serving.app;
    let device = app.auth.operator_token(PersonId(66), app.clock.now()).token;
    let mut operator = Client::join(server.address, "show", json!({"token": device}))
        .await
        .unwrap();
    let began = Instant::now();
    let revoke = format!("/devices/{}", PersonId(66));
    server.delete(&revoke, &server.operator).await.is(204);
    assert_eq!(operator.over().await, Over::Closed(4503));
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());

    let store = server.post("/rooms/show/stores", &host, json!({"name": "Shop"})).await;
    let shop = store.is(201)["token"].as_str().unwrap().to_owned();
    let check = async || server.post("/rooms/show/check", &shop, json!({"code": "A-1"})).await;
    check().await.is(200);
    let me = server.get("/me", &shop).await.is(200);
    let person = format!("/rooms/show/staff/{}", me["staff"]["person"].as_str().unwrap());
    server.delete(&person, &host).await.is(200);
    check().await.refused(403, "not_allowed");
}

#[tokio::test]
async fn while_the_secret_is_changed_both_keys_are_good_and_then_only_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, digit: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, digit.repeat(64)).unwrap();
        Some(path)
    };
    let (old, new) = (file("old", "a"), file("new", "b"));
    let with = |secret_file: &Option<_>, previous_secret_file: Option<_>| Options {
        secret_file: secret_file.clone(),
        previous_secret_file,
        ..Options::default()
    };
    let server = Server::with(with(&old, None)).await;
    let host = server.live_room("show").await;
    let ann = Client::viewer(server.address, "show", "Ann").await;
    let app = &server.serving.app;
    let viewer = app.auth.viewer_token(ViewerId(7), app.clock.now());

    let server = server.restart_with(with(&new, old)).await;
    for token in [&host, &viewer, &server.operator] {
        server.get("/me", token).await.is(200);
    }
    let again = Client::again(server.address, "show", ann.token(), ann.cursor).await;
    assert!(again.joined.resumed);
    let fresh = Client::viewer(server.address, "show", "Bob").await;

    let server = server.restart_with(with(&new, None)).await;
    for token in [&host, &viewer] {
        server.get("/me", token).await.refused(401, "bad_token");
    }
    let late = Client::join(server.address, "show", json!({"token": ann.token()})).await;
    assert_eq!(late.err(), Some(Over::Closed(4503)));
    Client::again(server.address, "show", fresh.token(), fresh.cursor).await;
}
