//! What `hubbub print` gives: whether it agrees with what the server, the command line and the container really do.

mod expressions;
mod prometheus;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::{Process, ended, hubbub};
use expressions::{Metrics, labels_shown};

/// Standard output of `hubbub print`.
fn printed(what: &str) -> String {
    let (status, text, problem) = ended(hubbub(&["print", what]));
    assert_eq!((status, problem.as_str()), (Some(0), ""));
    text
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

fn dashboard() -> Value {
    serde_json::from_str(&printed("grafana-dashboard")).expect("JSON")
}

fn rules() -> Vec<Value> {
    let file = yaml(&printed("alert-rules"));
    let groups = file["groups"].as_array().expect("groups").iter();
    groups
        .flat_map(|group| group["rules"].as_array().expect("rules").clone())
        .collect()
}

/// Title, legend and expression of everything that the dashboard draws.
fn lines(dashboard: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let lines = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice).iter();
        targets.map(|target| {
            (
                text(&panel["title"]),
                text(&target["legendFormat"]),
                text(&target["expr"]),
            )
        })
    });
    lines.collect()
}

/// A server to which something has happened: a command was refused, a page was not there.
async fn served() -> Process {
    let process = Process::start(&[]);
    let host = process.live_room("show").await;
    process
        .post("/rooms/show/discounts/none/open", &host, json!({}))
        .await
        .refused(404, "unknown_discount");
    process.page("/nothing").await.text(404);
    process
}

#[tokio::test]
async fn every_metric_and_label_that_the_dashboard_and_the_rules_name_is_served() {
    let process = served().await;
    let served = Metrics::read(&process.page("/metrics").await.text(200));
    let mut wrong = Vec::new();
    for (title, legend, expression) in lines(&dashboard()) {
        wrong.extend(served.faults(&expression, &labels_shown(&legend, "{{"), &title));
    }
    for rule in rules() {
        let expression = rule["expr"].as_str().expect("an expression");
        let notes = rule["annotations"].to_string();
        let name = rule["alert"].as_str().expect("a name");
        wrong.extend(served.faults(expression, &labels_shown(&notes, "$labels."), name));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_panel_has_its_place_and_every_alert_says_what_to_do() {
    let dashboard = dashboard();
    let mut taken = BTreeMap::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let at = |side: &str| panel["gridPos"][side].as_u64().expect("a number");
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert_eq!(taken.insert((x, y), panel["id"].clone()), None, "{panel}");
            }
        }
        let says = panel["description"].as_str().is_some_and(|says| says.ends_with('.'));
        assert!(says || panel["type"] == "row", "{panel}");
    }
    for rule in rules() {
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning")), "{rule}");
        let says = |note: &str| rule["annotations"][note].as_str().map_or(0, str::len);
        assert!(says("summary") > 20 && says("description") > 100, "{rule}");
    }
}

#[test]
fn the_compose_file_agrees_with_the_container_and_the_command_line() {
    let file = yaml(&printed("compose"));
    let dockerfile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).expect("is there");
    let server = &file["services"]["hubbub"];
    assert!(dockerfile.contains("HUBBUB_LISTEN=0.0.0.0:8080"));
    assert_eq!(server["ports"], json!(["8080:8080"]));
    assert!(dockerfile.contains("VOLUME /data"));
    assert_eq!(server["volumes"], json!(["data:/data"]));
    let mut check = hubbub(&["--check-config"]);
    for (name, value) in server["environment"].as_object().expect("variables") {
        check.env(name, value.as_str().expect("text"));
    }
    assert_eq!(ended(check).0, Some(0));
    let metrics = server["environment"]["HUBBUB_METRICS_LISTEN"]
        .as_str()
        .expect("an address");
    let (_, port) = metrics.rsplit_once(':').expect("a port");
    let prometheus = yaml(content(&file, "prometheus"));
    let scraped = &prometheus["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(*scraped, json!([format!("hubbub:{port}")]));

    assert_eq!(content(&file, "alert-rules").replace("$$", "$"), printed("alert-rules"));
    let inside: Value = serde_json::from_str(&content(&file, "dashboard").replace("$$", "$")).expect("JSON");
    assert_eq!(inside, dashboard());
    for service in file["services"].as_object().expect("services").values() {
        let stated = service["configs"].as_array().map_or(&[][..], Vec::as_slice);
        for config in stated {
            assert!(
                file["configs"]
                    .get(config["source"].as_str().expect("a name"))
                    .is_some(),
                "{config}"
            );
        }
    }
    let target = |service: &str, source: &str| {
        let configs = file["services"][service]["configs"].as_array().expect("configs").iter();
        let mut found = configs.filter(|config| config["source"] == source);
        found.next().expect("is given")["target"].clone()
    };
    assert_eq!(prometheus["rule_files"], json!([target("prometheus", "alert-rules")]));
    let folder = yaml(content(&file, "grafana-dashboards"))["providers"][0]["options"]["path"].clone();
    let dashboard = target("grafana", "dashboard");
    let dashboard = Path::new(dashboard.as_str().expect("a path"));
    assert_eq!(dashboard.parent(), folder.as_str().map(Path::new));
    assert_eq!(
        yaml(content(&file, "grafana-datasource"))["datasources"][0]["url"],
        "http://prometheus:9090"
    );
}

/// What a configuration of the Compose file has in it.
fn content<'f>(compose: &'f Value, name: &str) -> &'f str {
    compose["configs"][name]["content"].as_str().expect("is in the file")
}

#[test]
fn the_unit_has_time_to_drain_files_for_its_connections_and_options_that_exist() {
    let unit = printed("systemd-unit");
    let value = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_else(|| panic!("no {key}"))
    };
    let (status, config, _) = ended(hubbub(&["--print-config"]));
    assert_eq!(status, Some(0));
    let option = |name: &str| {
        let value = config.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        value.expect("is printed").parse::<u64>().expect("a number")
    };
    let stop: u64 = value("TimeoutStopSec=").trim_end_matches('s').parse().expect("seconds");
    assert!(stop > option("drain_seconds"));
    let files: u64 = value("LimitNOFILE=").parse().expect("a number");
    assert!(files > option("connections_max") + 2_000);
    let state = value("StateDirectory=");
    let variable = value("Environment=").split_once('=').expect("a variable");
    assert_eq!(variable, ("HUBBUB_DATA", format!("/var/lib/{state}").as_str()));
    assert_eq!(value("RestartPreventExitStatus="), "64");
    assert_eq!(value("ExecStart="), "/usr/local/bin/hubbub serve");
}

#[test]
fn systemd_takes_the_unit_and_finds_little_that_it_leaves_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = printed("systemd-unit").replace("/usr/local/bin/hubbub", env!("CARGO_BIN_EXE_hubbub"));
    let file = folder.path().join("hubbub.service");
    std::fs::write(&file, unit).expect("writes");
    // The threshold is in tenths: 1.5 of 10.
    for arguments in [&["verify"][..], &["security", "--offline=true", "--threshold=15"]] {
        match Command::new("systemd-analyze").args(arguments).arg(&file).output() {
            Ok(told) => {
                let complaint = String::from_utf8_lossy(&told.stderr);
                assert_eq!((told.status.code(), &*complaint), (Some(0), ""), "{arguments:?}");
            }
            Err(error) => eprintln!("not tested: systemd-analyze cannot be run: {error}"),
        }
    }
}
