//! `hubbub print`: what stands beside the server, ready to be used.

mod dashboard;

use clap::Subcommand;

/// What is printed, to standard output.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Printed {
    /// A dashboard for Grafana, to be imported; it asks which Prometheus.
    GrafanaDashboard,
    /// Alert rules for Prometheus, for a scrape job that is named hubbub.
    AlertRules,
    /// A unit for systemd, hardened.
    SystemdUnit,
    /// A file for Docker Compose: the server, Prometheus with the alert rules, Grafana with the dashboard.
    Compose,
}

const ALERT_RULES: &str = include_str!("alerts.yml");
const SYSTEMD_UNIT: &str = include_str!("hubbub.service");
const COMPOSE: &str = include_str!("compose.yml");

/// The text of it, with its last line's end.
pub(super) fn text(what: Printed) -> String {
    match what {
        Printed::GrafanaDashboard => format!("{:#}\n", dashboard::dashboard()),
        Printed::AlertRules => ALERT_RULES.to_owned(),
        Printed::SystemdUnit => SYSTEMD_UNIT.to_owned(),
        Printed::Compose => compose(),
    }
}

/// The Compose file, each line `%NAME%` replaced by that file, indented as the line is.
fn compose() -> String {
    let dashboard = dashboard::dashboard().to_string();
    let mut whole = String::new();
    for line in COMPOSE.lines() {
        let inserted = match line.trim_start() {
            "%alerts.yml%" => ALERT_RULES,
            "%dashboard.json%" => &dashboard,
            _ => {
                whole.push_str(line);
                whole.push('\n');
                continue;
            }
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        for inserted in inserted.lines() {
            if !inserted.is_empty() {
                whole.push_str(indent);
                // Compose would put a variable's value for a single one.
                whole.push_str(&inserted.replace('$', "$$"));
            }
            whole.push('\n');
        }
    }
    whole
}
