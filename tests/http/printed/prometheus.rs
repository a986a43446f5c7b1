//! What is printed, in the hands of a real Prometheus (Debian's package `prometheus`).

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{content, dashboard, lines, printed, rules, served, yaml};
use crate::support::PATIENCE;
use crate::support::process::ended;
use crate::support::rest::Rest;

/// How often the server is asked, and the rules are looked at.
const INTERVAL: &str = "200ms";

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// None where there is no Prometheus.
fn promtool(folder: &Path, arguments: &[&str]) -> Option<()> {
    if let Err(error) = Command::new("promtool").arg("--version").output() {
        eprintln!("not tested: promtool cannot be run: {error}");
        return None;
    }
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    let (status, out, problem) = ended(command);
    assert_eq!(status, Some(0), "{arguments:?}: {out}{problem}");
    Some(())
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    std::fs::write(folder.join("alerts.yml"), printed("alert-rules")).expect("writes");
    // Without their prose, which the tests would else have to repeat.
    let bare: Vec<_> = rules().into_iter().map(bare).collect();
    let bare = json!({"groups": [{"name": "hubbub", "rules": bare}]});
    std::fs::write(folder.join("alerts.json"), bare.to_string()).expect("writes");
    let tests = include_str!("alerts.test.yml");
    std::fs::write(folder.join("alerts.test.yml"), tests).expect("writes");
    for rule in rules() {
        let tests = yaml(tests)["tests"].clone();
        let tests = tests.as_array().expect("tests").iter();
        let expected = tests.flat_map(|test| test["alert_rule_test"].as_array().expect("expectations").clone());
        let expected = expected.filter(|expected| expected["alertname"] == rule["alert"]);
        let (silent, fires): (Vec<_>, Vec<_>) = expected.partition(|expected| expected["exp_alerts"] == json!([]));
        assert!(
            !silent.is_empty() && !fires.is_empty(),
            "not tested both ways: {}",
            rule["alert"]
        );
    }
    let Some(()) = promtool(folder, &["check", "rules", "alerts.yml"]) else {
        return;
    };
    promtool(folder, &["test", "rules", "alerts.test.yml"]);
}

fn bare(mut rule: Value) -> Value {
    rule.as_object_mut().expect("a rule").remove("annotations");
    rule
}

/// Starts the Prometheus of the Compose file, which asks this server instead.
async fn start(folder: &Path, server: SocketAddr) -> Option<(Prometheus, Rest)> {
    let compose = yaml(&printed("compose"));
    let mut config = yaml(content(&compose, "prometheus"));
    for interval in ["scrape_interval", "evaluation_interval"] {
        config["global"][interval] = json!(INTERVAL);
    }
    config["rule_files"] = json!(["alerts.yml"]);
    config["scrape_configs"][0]["static_configs"][0]["targets"] = json!([server.to_string()]);
    std::fs::write(folder.join("prometheus.yml"), config.to_string()).expect("writes");
    std::fs::write(folder.join("alerts.yml"), printed("alert-rules")).expect("writes");
    promtool(folder, &["check", "config", "prometheus.yml"])?;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let mut command = Command::new("prometheus");
    command
        .args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--log.level=error",
        ])
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder)
        .stdin(Stdio::null());
    let prometheus = Prometheus(command.spawn().expect("it comes with promtool"));
    Some((prometheus, Rest::new(address, String::new())))
}

/// What Prometheus answers, once it is as wanted.
async fn until<T>(prometheus: &Rest, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
    let asked = async {
        loop {
            let answer = reqwest::get(prometheus.url(path)).await;
            if let Ok(answer) = answer
                && let Ok(answer) = answer.json::<Value>().await
                && let Some(found) = wanted(&answer["data"])
            {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("{path} never came to be as wanted"))
}

#[tokio::test]
async fn a_real_prometheus_takes_the_rules_and_has_something_to_draw_in_every_panel() {
    let process = served().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some((_prometheus, api)) = start(folder.path(), process.address).await else {
        return;
    };
    // A rate takes two samples.
    until(&api, "/api/v1/query?query=count_over_time(up[1m])>3", |data| {
        data["result"].get(0).cloned()
    })
    .await;
    let judged = until(&api, "/api/v1/rules", |data| {
        let rules = data["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    })
    .await;
    assert_eq!(judged.len(), rules().len());
    for rule in judged {
        // Not its state: this machine's disk may be as full as a rule says.
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    for (title, _, expression) in lines(&dashboard()) {
        let query = expression
            .replace("$__rate_interval", "1m")
            .replace("$job", "hubbub")
            .replace("$instance", ".*");
        let url = Url::parse_with_params(&api.url("/api/v1/query"), [("query", &query)]).expect("an address");
        let answer = reqwest::get(url).await.expect("answers");
        let answer: Value = answer.json().await.expect("JSON");
        let drawn = answer["data"]["result"].as_array().map_or(0, Vec::len);
        // What is shown only above zero may not be there.
        assert!(
            answer["status"] == "success" && (drawn > 0 || query.contains("> 0")),
            "{title}: {answer}"
        );
    }
}
