//! The OpenAPI document against the routes. That each route is in the document follows from how they are made
//! (`routes!`); here the document is held against what answers.

use reqwest::Method;
use reqwest::header::ALLOW;
use serde_json::Value;

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

#[tokio::test]
async fn the_examples_of_bodies_are_bodies() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let mut tried = 0;
    for (path, item) in document(&server).await["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["example"];
            if body.is_null() {
                continue;
            }
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = example(path).replace("nosuchroom", "lipsticks");
            let told = server.send(server.request(asked, &path, &host).json(body)).await;
            // A comment that is pinned must be there; all else is as it must be.
            let good = told.status == 200 || path.ends_with("/pin");
            assert!(good && told.status != 400, "{method} {path} {body}: {told:?}");
            tried += 1;
        }
    }
    assert!(tried > 5, "{tried}");
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
