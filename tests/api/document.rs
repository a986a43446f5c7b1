//! The OpenAPI document against the routes. That each route is in the document follows from how they are made
//! (`routes!`); here the document is held against what answers.

use hubbub::room::comment::Post;
use hubbub::room::discount::Claim;
use hubbub::room::draw::{Ask, ClaimPrize};
use hubbub::room::stage::StageEvent;
use hubbub::room::{Command, Key};
use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::ALLOW;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::Server;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

async fn document(server: &Server) -> Value {
    server.get("/openapi.json", "").await.is(200)
}

/// An address of this form.
fn example(path: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap();
    [
        ("{room}", "nosuchroom"),
        ("{person}", "0123456789abcdef0123456789abcdef"),
        ("{identity}", "0123456789abcdef0123456789abcdef"),
        ("{entry}", "1"),
        ("{comment}", "1"),
        ("{deletion}", "1"),
        ("{viewer}", "1"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    .replace(['{', '}'], "")
}

#[tokio::test]
async fn whatever_is_documented_answers_and_nothing_else_does() {
    let server = Server::start().await;
    let document = document(&server).await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 40, "{} paths", paths.len());
    for (path, item) in paths {
        for method in METHODS {
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let told = server.send(server.request(asked, &example(path), "")).await;
            let code = serde_json::from_slice::<Value>(&told.body).unwrap_or_default()["error"]["code"].clone();
            if item.get(method).is_some() {
                assert!(told.status != 405 && code != "not_found", "{method} {path}: {told:?}");
            } else {
                assert!(told.header(ALLOW).len() > 2, "{method} {path}");
                told.refused(405, "method_not_allowed");
            }
        }
    }
    server.get("/nothing", &server.operator).await.refused(404, "not_found");
}

#[tokio::test]
async fn every_operation_says_what_it_does_what_it_takes_and_how_it_refuses() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(METHODS.contains(&method.as_str()), "{what}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.len() > 5),
                "{what}"
            );
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{what}");
            let error = &operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(error, "#/components/schemas/ErrorBody", "{what}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(named, path.matches('{').count(), "{what}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let references = references(&document);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

/// A schema of the document, with what it refers to. Fields that it does not name are refused, so that none is
/// given out undocumented.
fn validator(document: &Value, content: &Value) -> Validator {
    let mut schema = content["application/json"]["schema"].clone();
    schema["components"] = document["components"].clone();
    close(&mut schema);
    for part in parts(document) {
        let part = schema
            .pointer_mut(part.trim_start_matches('#'))
            .unwrap()
            .as_object_mut()
            .unwrap();
        part.remove("additionalProperties");
    }
    jsonschema::validator_for(&schema).unwrap()
}

/// What other schemas have as a part.
fn parts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("allOf").map(references).unwrap_or_default();
            own.into_iter().chain(fields.values().flat_map(parts)).collect()
        }
        Value::Array(values) => values.iter().flat_map(parts).collect(),
        _ => Vec::new(),
    }
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // What is part of another schema sees the fields of the other.
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            if fields.contains_key("allOf") {
                return;
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

#[track_caller]
fn fits(document: &Value, content: &Value, body: &Value, what: &str) {
    let validator = validator(document, content);
    let faults: Vec<_> = validator
        .iter_errors(body)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{what}: {faults:#?}\n{body:#}");
}

#[tokio::test]
async fn the_examples_of_bodies_are_bodies() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let document = document(&server).await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let takes = &operation["requestBody"]["content"];
            let body = &takes["application/json"]["example"];
            if body.is_null() {
                continue;
            }
            fits(&document, takes, body, &format!("the example of {method} {path}"));
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = example(path).replace("nosuchroom", "lipsticks");
            let told = server.send(server.request(asked, &path, &host).json(body)).await;
            // A comment that is pinned must be there; all else is as it must be.
            let good = told.status == 200 || path.ends_with("/pin");
            assert!(good && told.status != 400, "{method} {path} {body}: {told:?}");
            let answers = &operation["responses"][if told.status == 200 { "200" } else { "default" }]["content"];
            let answer = serde_json::from_slice(&told.body).unwrap();
            fits(&document, answers, &answer, &format!("the answer of {method} {path}"));
            tried += 1;
        }
    }
    assert!(tried > 5, "{tried}");
}

/// A show in which everything has happened once.
async fn show(server: &Server) -> String {
    let host = server.live_room("lipsticks").await;
    let path = |rest: &str| format!("/rooms/lipsticks{rest}");
    let details = json!({
        "tags": ["red"], "description": "New colours.", "links": [{"label": "Shop", "url": "https://shop.example/"}],
        "source": {"hls": {"url": "https://cdn.example/a.m3u8"}}, "goals": {"viewers": 100, "claims": 10},
    });
    server.patch(&path(""), &host, details).await.is(200);
    let post = Post {
        nonce: "1".to_owned(),
        text: "hello".to_owned(),
    };
    server
        .viewer_does("lipsticks", 1, Command::Comment(post))
        .await
        .unwrap();
    let terms =
        json!({"title": "Ten", "off": {"percent": 10}, "quota": 5, "closes": {"after_ms": 60_000}, "who": "anyone"});
    let amount = json!({"title": "Five", "off": {"amount": {"minor": 500, "currency": "EUR"}}, "quota": 5, "closes": "with_show"});
    for (id, terms, codes) in [
        ("ten", &terms, json!({"generated": {}})),
        ("shared", &amount, json!({"shared": {"code": "AUTUMN"}})),
        ("waits", &terms, json!({"pasted": {}})),
    ] {
        let discount = path(&format!("/discounts/{id}"));
        server
            .put(&discount, &host, json!({"terms": terms, "codes": codes}))
            .await
            .is(200);
        if id != "waits" {
            server.post(&format!("{discount}/open"), &host, json!({})).await.is(200);
            let claim = Claim {
                discount: Key::new(id).unwrap(),
                unit: 1,
            };
            server.viewer_does("lipsticks", 1, Command::Claim(claim)).await.unwrap();
        }
    }
    let rules = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"phrase": {"phrase": "lips"}},
        "ask": ["name"], "readers": "The shop.", "who": "anyone"});
    for id in ["first", "waits"] {
        server
            .put(&path(&format!("/draws/{id}")), &host, rules.clone())
            .await
            .is(200);
    }
    server.post(&path("/draws/first/open"), &host, json!({})).await.is(200);
    for viewer in 1..=2 {
        let post = Post {
            nonce: "2".to_owned(),
            text: "lips".to_owned(),
        };
        server
            .viewer_does("lipsticks", viewer, Command::Comment(post))
            .await
            .unwrap();
    }
    let strike = path("/draws/first/entries/2/strike");
    server.post(&strike, &host, json!({"reason": "a bot"})).await.is(200);
    let mut watcher = Client::viewer(server.address, "lipsticks", "Watcher").await;
    server.post(&path("/draws/first/lock"), &host, json!({})).await.is(200);
    let revealed = |event: &StageEvent| matches!(event, StageEvent::DrawRevealed { .. }).then_some(());
    watcher.until(revealed).await;
    let contact = [(Ask::Name, "Li Lei".to_owned())].into();
    let claim = ClaimPrize {
        draw: Key::new("first").unwrap(),
        contact,
    };
    server
        .viewer_does("lipsticks", 1, Command::ClaimPrize(claim))
        .await
        .unwrap();
    server.join("lipsticks", json!({"assistant": "comments"}), "Bob").await;
    let invite = json!({"role": "host", "name": "Eve"});
    server.post(&path("/invitations"), &host, invite).await.is(201);
    host
}

#[tokio::test]
async fn what_is_answered_fits_its_schema() {
    let server = Server::start().await;
    let host = show(&server).await;
    let document = document(&server).await;
    let mut answered = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let names = [("{room}", "lipsticks"), ("{draw}", "first"), ("{discount}", "ten")];
        let path = names.iter().fold(path.replace("/api/v1", ""), |path, (name, value)| {
            path.replace(name, value)
        });
        for token in ["", &host, &server.operator, "no token"] {
            let told = server.get(&path, token).await;
            let status = told.status.as_u16();
            let answers = &operation["responses"][if status == 200 { "200" } else { "default" }]["content"];
            if answers.get("application/json").is_some() {
                fits(&document, answers, &told.is(status), &format!("{path} as {token:?}"));
                answered += usize::from(status == 200);
            }
        }
    }
    assert!(answered > 25, "{answered}");
}

#[tokio::test]
async fn every_schema_says_what_it_allows() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut silent = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        find_silent(schema, name, &mut silent);
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().values();
            for content in answers.chain(operation.get("requestBody")).map(|body| &body["content"]) {
                for body in content.as_object().into_iter().flat_map(|kinds| kinds.values()) {
                    find_silent(&body["schema"], &format!("{method} {path}"), &mut silent);
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Finds schemas that allow anything.
fn find_silent(schema: &Value, at: &str, silent: &mut Vec<String>) {
    let speaks = ["type", "$ref", "oneOf", "anyOf", "allOf", "enum", "const"];
    if !speaks.iter().any(|word| schema.get(word).is_some()) {
        silent.push(at.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        find_silent(field, &format!("{at}.{name}"), silent);
    }
    for parts in ["oneOf", "anyOf", "allOf"] {
        let parts = schema[parts].as_array().into_iter().flatten();
        parts.for_each(|part| find_silent(part, at, silent));
    }
    if let Some(items) = schema.get("items") {
        find_silent(items, &format!("{at}[]"), silent);
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(references)).collect()
        }
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
