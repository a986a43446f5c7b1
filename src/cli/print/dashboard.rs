//! The Grafana dashboard: rows of panels, each with what it draws.
//!
//! In an expression `@` stands for the choice of job and instances at the top of the dashboard.

use serde_json::{Value, json};

/// Grafana 12's; older ones open it too.
const SCHEMA_VERSION: u32 = 41;
/// Grafana's grid.
const COLUMNS: usize = 24;
const PANEL_HEIGHT: usize = 8;
const STAT_HEIGHT: usize = 4;

/// A heading, and the panels under it.
struct Row {
    title: &'static str,
    panels: &'static [Panel],
}

/// A diagram: `lines` are legends and expressions.
struct Panel {
    title: &'static str,
    says: &'static str,
    unit: &'static str,
    lines: &'static [(&'static str, &'static str)],
}

/// A number at the top; from `bad` on it is red.
struct Stat {
    title: &'static str,
    says: &'static str,
    bad: Option<u32>,
    expression: &'static str,
}

const STATS: &[Stat] = &[
    Stat {
        title: "Servers that answer",
        says: "Targets of the job whose /metrics answers.",
        bad: None,
        expression: "sum(up{@})",
    },
    Stat {
        title: "Connections",
        says: "Open WebSocket connections.",
        bad: None,
        expression: "sum(hubbub_connections{@})",
    },
    Stat {
        title: "Rooms in memory",
        says: "Live rooms, and those that somebody has used within the last minute.",
        bad: None,
        expression: "sum(hubbub_rooms_loaded{@})",
    },
    Stat {
        title: "Codes granted in an hour",
        says: "Codes of discounts, each durable.",
        bad: None,
        expression: "sum(increase(hubbub_claims_total{outcome=\"granted\",@}[1h]))",
    },
    Stat {
        title: "Rooms out of order",
        says: "They refuse commands because the journal did not take their last batch, or are parked because they broke again and again.",
        bad: Some(1),
        expression: "sum(hubbub_rooms_unwritable{@}) + sum(hubbub_rooms_parked{@})",
    },
    Stat {
        title: "Alerts firing",
        says: "Of the rules that `hubbub print alert-rules` gives.",
        bad: Some(1),
        expression: "count(ALERTS{alertname=~\"Hubbub.*\",alertstate=\"firing\"}) or vector(0)",
    },
];

const ROWS: &[Row] = &[
    Row {
        title: "Audience",
        panels: &[
            Panel {
                title: "Connections",
                says: "Open WebSocket connections, and how many may be open at once.",
                unit: "short",
                lines: &[
                    ("{{instance}}", "sum by (instance) (hubbub_connections{@})"),
                    ("{{instance}} at most", "sum by (instance) (hubbub_connections_max{@})"),
                ],
            },
            Panel {
                title: "Coming and going",
                says: "Connections opened, and closed by close code: 1000 and none are people who left, 4000 a restart, 4001 and 4002 dead networks, 4501 full.",
                unit: "cps",
                lines: &[
                    (
                        "opened",
                        "sum(rate(hubbub_connections_opened_total{@}[$__rate_interval]))",
                    ),
                    (
                        "closed {{code}}",
                        "sum by (code) (rate(hubbub_connections_closed_total{@}[$__rate_interval])) > 0",
                    ),
                ],
            },
            Panel {
                title: "Comments",
                says: "Taken a second: on stage, left out of a busy second's sample, or only an entry in a draw. All are kept.",
                unit: "cps",
                lines: &[(
                    "{{fate}}",
                    "sum by (fate) (rate(hubbub_comments_total{@}[$__rate_interval]))",
                )],
            },
        ],
    },
    Row {
        title: "Fan-out",
        panels: &[
            Panel {
                title: "Decided to written",
                says: "From a batch's decision until it is handed to the kernel for all viewers of its room.",
                unit: "s",
                lines: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(hubbub_decided_to_written_seconds_bucket{@}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(hubbub_decided_to_written_seconds_bucket{@}[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Bytes to viewers",
                says: "Handed to the kernel for WebSocket connections.",
                unit: "Bps",
                lines: &[(
                    "{{instance}}",
                    "sum by (instance) (rate(hubbub_bytes_out_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Frames to viewers",
                says: "Feed frames handed to the kernel, once for each connection.",
                unit: "cps",
                lines: &[(
                    "{{instance}}",
                    "sum by (instance) (rate(hubbub_frames_written_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Lag",
                says: "Batches that a connection had not been sent, asked once a second of each.",
                unit: "short",
                lines: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(hubbub_lag_batches_bucket{@}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(hubbub_lag_batches_bucket{@}[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Skips",
                says: "Viewers a minute who fell so far behind that they went on from a keyframe: they lost chat, not codes, and are told.",
                unit: "cpm",
                lines: &[(
                    "{{instance}}",
                    "60 * sum by (instance) (rate(hubbub_skips_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Chat thinned out",
                says: "How often a room's display budget was lowered because its audience took nearly all the time there is.",
                unit: "short",
                lines: &[(
                    "{{instance}}",
                    "sum by (instance) (increase(hubbub_display_budgets_lowered_total{@}[$__rate_interval]))",
                )],
            },
        ],
    },
    Row {
        title: "Commerce",
        panels: &[
            Panel {
                title: "Claims of codes",
                says: "A second, by outcome; unavailable: the journal took no writes, the viewer's page tries again.",
                unit: "cps",
                lines: &[(
                    "{{outcome}}",
                    "sum by (outcome) (rate(hubbub_claims_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Draws",
                says: "Opened, revealed, drawn again, cancelled.",
                unit: "short",
                lines: &[(
                    "{{step}}",
                    "sum by (step) (increase(hubbub_draws_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Entries, prizes, redemptions",
                says: "Entries in draws, prizes claimed by winners, codes redeemed by shops.",
                unit: "cps",
                lines: &[
                    ("entries", "sum(rate(hubbub_draw_entries_total{@}[$__rate_interval]))"),
                    ("prizes", "sum(rate(hubbub_prizes_claimed_total{@}[$__rate_interval]))"),
                    (
                        "redemptions",
                        "sum(rate(hubbub_redemptions_total{@}[$__rate_interval]))",
                    ),
                ],
            },
        ],
    },
    Row {
        title: "Journal",
        panels: &[
            Panel {
                title: "Commits",
                says: "Time of a commit with its sync: the disk.",
                unit: "s",
                lines: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(hubbub_journal_commit_seconds_bucket{@}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(hubbub_journal_commit_seconds_bucket{@}[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Decided to durable",
                says: "From a batch's decision until it survives a power cut: what a claim waits for.",
                unit: "s",
                lines: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(hubbub_decided_to_durable_seconds_bucket{@}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(hubbub_decided_to_durable_seconds_bucket{@}[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Gathered",
                says: "Events in a batch, and batches committed together, on average: the busier, the more.",
                unit: "short",
                lines: &[
                    (
                        "events a batch",
                        "sum(rate(hubbub_batch_events_sum{@}[$__rate_interval])) / sum(rate(hubbub_batch_events_count{@}[$__rate_interval]))",
                    ),
                    (
                        "batches a commit",
                        "sum(rate(hubbub_journal_commit_appends_sum{@}[$__rate_interval])) / sum(rate(hubbub_journal_commit_appends_count{@}[$__rate_interval]))",
                    ),
                ],
            },
            Panel {
                title: "Batches not taken",
                says: "By reason: the disk is full, the store refused, another writer was there, nobody can say.",
                unit: "short",
                lines: &[(
                    "{{reason}}",
                    "sum by (reason) (increase(hubbub_journal_appends_failed_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Rooms out of order",
                says: "That cannot write now, that are parked, that broke, and that were rebuilt after a batch was not taken.",
                unit: "short",
                lines: &[
                    ("cannot write", "sum(hubbub_rooms_unwritable{@})"),
                    ("parked", "sum(hubbub_rooms_parked{@})"),
                    ("broke", "sum(increase(hubbub_rooms_broken_total{@}[$__rate_interval]))"),
                    (
                        "rebuilt",
                        "sum(increase(hubbub_rooms_rebuilt_total{@}[$__rate_interval]))",
                    ),
                ],
            },
            Panel {
                title: "Disk of the data folder",
                says: "Bytes free, and in all.",
                unit: "bytes",
                lines: &[
                    ("{{instance}} free", "min by (instance) (hubbub_data_free_bytes{@})"),
                    ("{{instance}} in all", "min by (instance) (hubbub_data_disk_bytes{@})"),
                ],
            },
        ],
    },
    Row {
        title: "Refusals and limits",
        panels: &[
            Panel {
                title: "Commands",
                says: "Decided a second: done, again (a retry), refused.",
                unit: "cps",
                lines: &[(
                    "{{outcome}}",
                    "sum by (outcome) (rate(hubbub_commands_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Refusals",
                says: "A second, by the code that the client was told.",
                unit: "cps",
                lines: &[(
                    "{{code}}",
                    "sum by (code) (rate(hubbub_refusals_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Sockets refused",
                says: "A second: full (--connections-max), address (--connections-per-address), resources (file limit, memory).",
                unit: "cps",
                lines: &[(
                    "{{reason}}",
                    "sum by (reason) (rate(hubbub_sockets_refused_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "HTTP answers",
                says: "A second, by status.",
                unit: "reqps",
                lines: &[(
                    "{{status}}",
                    "sum by (status) (rate(hubbub_http_requests_total{@}[$__rate_interval]))",
                )],
            },
            Panel {
                title: "Mailboxes",
                says: "Commands waiting in a room's mailbox when it is drained.",
                unit: "short",
                lines: &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(hubbub_mailbox_commands_bucket{@}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(hubbub_mailbox_commands_bucket{@}[$__rate_interval])))",
                    ),
                ],
            },
            Panel {
                title: "Limits reached",
                says: "What each limit has refused, a second, by its option; also taps on the heart above their limit, which are dropped.",
                unit: "cps",
                lines: &[
                    (
                        "--{{limit}}",
                        "sum by (limit) (rate(hubbub_limit_hits_total{@}[$__rate_interval])) > 0",
                    ),
                    ("taps", "sum(rate(hubbub_taps_dropped_total{@}[$__rate_interval]))"),
                ],
            },
        ],
    },
    Row {
        title: "Process",
        panels: &[
            Panel {
                title: "Memory",
                says: "Resident memory, and what the control group or the machine allows. The kernel's memory for sockets comes on top.",
                unit: "bytes",
                lines: &[
                    ("{{instance}}", "sum by (instance) (process_resident_memory_bytes{@})"),
                    ("{{instance}} at most", "sum by (instance) (hubbub_memory_max_bytes{@})"),
                ],
            },
            Panel {
                title: "File descriptors",
                says: "Open ones, and how many may be. A connection takes one.",
                unit: "short",
                lines: &[
                    ("{{instance}}", "sum by (instance) (process_open_fds{@})"),
                    ("{{instance}} at most", "sum by (instance) (process_max_fds{@})"),
                ],
            },
            Panel {
                title: "Processor cores",
                says: "In use, and how many there are.",
                unit: "short",
                lines: &[
                    (
                        "{{instance}}",
                        "sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))",
                    ),
                    ("{{instance}} at most", "sum by (instance) (hubbub_cores{@})"),
                ],
            },
            Panel {
                title: "Up for",
                says: "Since the process started: it falls to zero with a restart.",
                unit: "s",
                lines: &[("{{instance}}", "time() - process_start_time_seconds{@}")],
            },
            Panel {
                title: "Clock",
                says: "How far server time, which is never stepped, is ahead of the wall clock.",
                unit: "ms",
                lines: &[("{{instance}}", "hubbub_clock_ahead_ms{@}")],
            },
            Panel {
                title: "Certificate",
                says: "How long the certificate that is shown still holds; nothing where a proxy speaks TLS.",
                unit: "s",
                lines: &[(
                    "{{instance}}",
                    "(hubbub_tls_certificate_expiry_timestamp_seconds{@} > 0) - time()",
                )],
            },
            Panel {
                title: "Versions",
                says: "Servers of each version.",
                unit: "short",
                lines: &[("{{version}}", "count by (version) (hubbub_build_info{@})")],
            },
            Panel {
                title: "Age of the last backup",
                says: "Since `hubbub backup` was last run here; nothing if never.",
                unit: "s",
                lines: &[("{{instance}}", "time() - (hubbub_last_backup_timestamp_seconds{@} > 0)")],
            },
        ],
    },
];

/// The dashboard, in the JSON that Grafana imports.
pub(super) fn dashboard() -> Value {
    json!({
        "uid": "hubbub",
        "title": "Hubbub",
        "description": "A live-commerce broadcast server",
        "tags": ["hubbub"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        // One pointer over all diagrams.
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": variables()},
        "panels": panels(),
    })
}

fn variables() -> Value {
    let values_of = |name: &str, label: &str, query: &str, many: bool| {
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": datasource(),
            "definition": query,
            "query": {"query": query, "refId": name},
            // When the time range changes: servers come and go.
            "refresh": 2,
            "sort": 1,
            "multi": many,
            "includeAll": many,
        })
    };
    json!([
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        values_of("job", "Job", "label_values(hubbub_connections, job)", false),
        values_of("instance", "Instance", "label_values(hubbub_connections{job=\"$job\"}, instance)", true),
    ])
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// All panels, one under the other and side by side, numbered from 1.
fn panels() -> Vec<Value> {
    let mut panels = Vec::new();
    let width = COLUMNS / STATS.len();
    for (place, stat) in STATS.iter().enumerate() {
        panels.push((stat.panel(), [place * width, 0, width, STAT_HEIGHT]));
    }
    let mut y = STAT_HEIGHT;
    for row in ROWS {
        panels.push((row.heading(), [0, y, COLUMNS, 1]));
        y += 1;
        for three in row.panels.chunks(3) {
            for (place, panel) in three.iter().enumerate() {
                let width = COLUMNS / 3;
                panels.push((panel.panel(), [place * width, y, width, PANEL_HEIGHT]));
            }
            y += PANEL_HEIGHT;
        }
    }
    let placed = panels
        .into_iter()
        .enumerate()
        .map(|(index, (mut panel, [x, y, w, h]))| {
            panel["id"] = json!(index + 1);
            panel["gridPos"] = json!({"x": x, "y": y, "w": w, "h": h});
            panel
        });
    placed.collect()
}

/// What a panel draws; the first is A.
fn target(index: u8, legend: &str, expression: &str) -> Value {
    json!({
        "refId": char::from(b'A' + index).to_string(),
        "datasource": datasource(),
        "editorMode": "code",
        "expr": expression.replace('@', "job=\"$job\",instance=~\"$instance\""),
        "legendFormat": legend,
        "range": true,
    })
}

impl Row {
    fn heading(&self) -> Value {
        json!({"type": "row", "title": self.title, "collapsed": false, "panels": []})
    }
}

impl Panel {
    fn panel(&self) -> Value {
        let targets = (0..)
            .zip(self.lines)
            .map(|(index, (legend, line))| target(index, legend, line));
        json!({
            "type": "timeseries",
            "title": self.title,
            "description": self.says,
            "datasource": datasource(),
            "targets": targets.collect::<Vec<_>>(),
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": if self.unit == "ms" { Value::Null } else { json!(0) },
                    "custom": {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"},
                },
                "overrides": [],
            },
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
        })
    }
}

impl Stat {
    fn panel(&self) -> Value {
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(self.bad.map(|bad| json!({"color": "red", "value": bad})));
        json!({
            "type": "stat",
            "title": self.title,
            "description": self.says,
            "datasource": datasource(),
            "targets": [target(0, "", self.expression)],
            "fieldConfig": {
                "defaults": {
                    "unit": "short",
                    "decimals": 0,
                    "color": {"mode": "thresholds"},
                    "thresholds": {"mode": "absolute", "steps": steps},
                },
                "overrides": [],
            },
            "options": {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value",
                "graphMode": "area",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "auto",
            },
        })
    }
}
