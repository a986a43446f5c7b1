//! The options, each once: its names on the command line, in the environment and in the file, its meaning
//! and unit, and what goes wrong at both ends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};

use super::{Config, Origin};
use crate::auth::{BadSecret, BadStoreKey, SigningSecret, StoreKey};
use crate::room::attendance::UNATTENDED_MS;
use crate::room::comment::DISPLAY_BUDGET;
use crate::tls::{BadCertificate, Files};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// Options as they were given, by flags and environment or by a file; what is absent was not given there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Server options")]
pub struct Options {
    /// Address and port of pages, REST and WebSockets.
    /// Default 127.0.0.1:8080: only this machine. 0.0.0.0:8080 listens on the network.
    /// Port 0 takes a free one and says which.
    #[arg(long, env = "HUBBUB_LISTEN", value_name = "ADDR", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,

    /// The data folder: journal, secret and covers; made if it is not there, readable by its owner only.
    /// Default ./data. One process at a time. On a disk whose sync lies, a power cut loses what was acknowledged.
    #[arg(long, env = "HUBBUB_DATA", value_name = "DIR", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,

    /// What links, QR codes and share cards begin with, such as `https://live.example.com`.
    /// Default: the address at which the page was opened. Wrong: links lead nowhere.
    #[arg(long, env = "HUBBUB_PUBLIC_URL", value_name = "URL", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,

    /// The file with the certificate and those that lead from it to a known authority, as PEM: the main address then
    /// speaks TLS, and nothing else. Read again when it or the key changes, and at SIGHUP; nobody is disturbed.
    /// Default none: a proxy in front speaks TLS, or nobody does.
    #[arg(long, env = "HUBBUB_TLS_CERT", value_name = "FILE", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,

    /// The file with the certificate's private key, as PEM. Default none.
    #[arg(long, env = "HUBBUB_TLS_KEY", value_name = "FILE", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,

    /// Address and port of /metrics, which then leaves the main address.
    /// Default: the main address, where a proxy in front should deny it to the world.
    #[arg(long, env = "HUBBUB_METRICS_LISTEN", value_name = "ADDR", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,

    /// Networks of the proxies in front, whose X-Forwarded-For, -Host and -Proto are believed. Repeatable.
    /// Default none. Too narrow: all viewers seem to come from the proxy and share its limits.
    /// Too wide: anybody can pretend to come from any address.
    #[arg(
        long,
        env = "HUBBUB_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxy: Option<Vec<String>>,

    /// Further origins whose pages may open WebSockets here, such as `https://shop.example.com`. Repeatable.
    /// Default none: only pages of this server (its own host, the forwarded one, the public URL).
    #[arg(
        long,
        env = "HUBBUB_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origin: Option<Vec<String>>,

    /// Origins whose pages may show the viewer page in a frame. Repeatable.
    /// Default none but our own control page: nobody can lay something over our buttons. The control page is
    /// never framed.
    #[arg(
        long,
        env = "HUBBUB_FRAME_ANCESTOR",
        value_name = "ORIGIN",
        value_delimiter = ',',
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_ancestor: Option<Vec<String>>,

    /// The file with the secret that signs tokens: 64 hexadecimal digits, as `openssl rand -hex 32` makes them;
    /// or the secret itself in HUBBUB_SECRET. Default: made at the first start in the data folder.
    /// Lost: everybody must sign in again and anonymous viewers lose their codes.
    #[arg(long, env = "HUBBUB_SECRET_FILE", value_name = "FILE", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,

    /// The file with the former secret while a new one is brought in: its tokens are still taken.
    /// Default none.
    #[arg(long, env = "HUBBUB_PREVIOUS_SECRET_FILE", value_name = "FILE", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_file: Option<PathBuf>,

    /// The file with the key of a store's own viewer tokens (JWT): a public key as PEM, or for HS256 a shared
    /// secret of at least 32 bytes; or the key itself in HUBBUB_STORE_KEY.
    /// Default none: all viewers are anonymous.
    #[arg(long, env = "HUBBUB_STORE_KEY_FILE", value_name = "FILE", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_key_file: Option<PathBuf>,

    /// The file with the store's former key, of the same algorithm, while a new one is brought in: tokens under it are
    /// still taken. Default none.
    #[arg(
        long,
        env = "HUBBUB_PREVIOUS_STORE_KEY_FILE",
        value_name = "FILE",
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_store_key_file: Option<PathBuf>,

    /// The one algorithm of the store's keys: HS256, RS256, ES256 or EdDSA. Default HS256.
    #[arg(long, env = "HUBBUB_STORE_KEY_ALGORITHM", value_name = "NAME", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_key_algorithm: Option<String>,

    /// What the store's tokens name as their issuer (iss); a viewer's identity follows from it and the
    /// store's own id of the customer. Default store. Changed: every customer is a new viewer.
    #[arg(long, env = "HUBBUB_STORE_ISSUER", value_name = "NAME", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_issuer: Option<String>,

    /// Seconds that a stop may take: clients are told to come back, what was acknowledged is flushed.
    /// Default 8, 1 to 300. Too few: clients see a broken connection instead of a reason.
    /// More than the supervisor waits (Docker: 10): the process is killed.
    #[arg(long, env = "HUBBUB_DRAIN_SECONDS", value_name = "SECONDS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_seconds: Option<u64>,

    /// Connections at once. Default 20000, or what the file limit allows if that is less.
    /// Too few: viewers are refused. Too many: memory, at about 8 KiB each.
    #[arg(long, env = "HUBBUB_CONNECTIONS_MAX", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,

    /// Connections of one address at once (IPv6: of one /64). Default 5000.
    /// Too few: viewers behind one carrier or in one venue are refused. Too many: one address can take all.
    #[arg(long, env = "HUBBUB_CONNECTIONS_PER_ADDRESS", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_address: Option<usize>,

    /// Connections of one viewer, or one person of the staff, in one room at once. Default 16.
    /// Too few: whoever has many tabs or a bad network is refused. Too many: one token can fill a room.
    #[arg(long, env = "HUBBUB_CONNECTIONS_PER_VIEWER", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_viewer: Option<usize>,

    /// Viewers' connections in one room at once. Default: no limit but the server's own.
    /// Too few: viewers of a popular show are refused. Without: one show can take all places of the others.
    #[arg(long, env = "HUBBUB_CONNECTIONS_PER_ROOM", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_room: Option<usize>,

    /// Sockets of one address (IPv6: of one /64) that are no WebSocket, or have not said hello. Default 1000: a browser
    /// opens six for some seconds. Too few: people of one venue who come at once are refused.
    /// Too many: one address can take the places of those who come.
    #[arg(long, env = "HUBBUB_HANDSHAKES_PER_ADDRESS", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshakes_per_address: Option<usize>,

    /// Viewers a minute who come from one address (IPv6: from one /64) without a token and get one; all of them may come at
    /// once. Default 6000. Each is counted and kept: in the journal, and in memory (0.4 kB) while the room is. Too few:
    /// viewers of a venue or a carrier are told that it is full. Too many: one address fills rooms with viewers who are none.
    #[arg(long, env = "HUBBUB_NEWCOMERS_PER_ADDRESS", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newcomers_per_address: Option<u32>,

    /// Requests a second of one viewer, or one person of the staff, over all WebSockets in a room (over each, from an
    /// exempt address); three times as many at once. Default 20.
    /// Too few: fast hosts are refused. Too many: one client keeps a room busy.
    #[arg(long, env = "HUBBUB_COMMANDS_PER_VIEWER", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_per_viewer: Option<u32>,

    /// Messages a second of all WebSockets of one address (IPv6: of one /64), and its requests to the REST API; twice as
    /// many at once. Default 10000: 5,000 viewers behind one address who claim within a second. Too few: they are
    /// refused.
    #[arg(long, env = "HUBBUB_COMMANDS_PER_ADDRESS", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_per_address: Option<u32>,

    /// Messages a second of all viewers of one room; twice as many at once. Default 20000: in a room of 15,000 each
    /// claims and likes within a second. Too few: viewers of a popular show are refused.
    /// Too many: one room keeps all cores busy. Staff is not counted.
    #[arg(long, env = "HUBBUB_COMMANDS_PER_ROOM", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_per_room: Option<u32>,

    /// Messages a second of all viewers; twice as many at once. Default 50000: more than two for each of 20,000.
    /// Too few: viewers are refused while there is room. Too many: a flood from many addresses keeps all cores busy.
    #[arg(long, env = "HUBBUB_COMMANDS_MAX", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands_max: Option<u32>,

    /// Bytes a second that one viewer or person may send over them; eight times as many at once, then the WebSocket
    /// is closed. Default 32768, from 4096. Too few: honest clients are closed. Too many: one client keeps a core busy.
    #[arg(long, env = "HUBBUB_BYTES_PER_VIEWER", value_name = "BYTES", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_viewer: Option<u32>,

    /// Bytes a second of these messages and requests; twice as many at once. Default 8388608, from 65536.
    /// Too few: viewers behind one address are refused, and files that are larger.
    #[arg(long, env = "HUBBUB_BYTES_PER_ADDRESS", value_name = "BYTES", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_address: Option<u32>,

    /// Bytes a second of the messages of all viewers of one room; twice as many at once. Default 16777216, from 65536:
    /// 2,000 of the longest comments a second are 2 MB. Too few: viewers of a popular show are refused.
    #[arg(long, env = "HUBBUB_BYTES_PER_ROOM", value_name = "BYTES", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_room: Option<u32>,

    /// Bytes a second of the messages of all viewers; twice as many at once. Default 33554432, from 65536.
    /// Too few: viewers are refused. Too many: a flood from many addresses keeps all cores busy.
    #[arg(long, env = "HUBBUB_BYTES_MAX", value_name = "BYTES", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u32>,

    /// Networks without a limit for each address: load generators. Repeatable; replaces the default.
    /// Default 127.0.0.0/8 and ::1.
    #[arg(
        long,
        env = "HUBBUB_EXEMPT",
        value_name = "CIDR",
        value_delimiter = ',',
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Vec<String>>,

    /// Rooms in memory at once. Default 10000. Too few: rooms are refused that others do not use just then.
    /// Too many: memory, from about 100 KiB for a quiet room to some MiB for a busy one.
    #[arg(long, env = "HUBBUB_ROOMS_MAX", value_name = "N", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms_max: Option<usize>,

    /// Comments a second that a room shows; above it a fair sample is shown and all are kept. `off` shows all.
    /// Default 8: what people can read. Low: lively rooms seem quiet. High: nobody can read along.
    #[arg(long, env = "HUBBUB_DISPLAY_BUDGET", value_name = "N|off", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_budget: Option<String>,

    /// Minutes that a show may be on air without any page of its staff open before its room warns: in the log,
    /// in the operators' list and, when they are back, on the control page. Default 30, 1 to 1440.
    /// Few: a host who changes computers is warned of. Many: a show that nobody drives goes on unnoticed.
    #[arg(
        long,
        env = "HUBBUB_UNATTENDED_MINUTES",
        value_name = "MINUTES",
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unattended_minutes: Option<u64>,

    /// Days after a show's end when the running server takes everybody's names, texts and contact details out of it, a few
    /// records at a time; titles, sums, claims, codes and draw transcripts stay. 1 to 36500.
    /// Default none: nothing is deleted by itself. Few: winners' contact details are gone before prizes are sent.
    #[arg(long, env = "HUBBUB_FORGET_ENDED_DAYS", value_name = "DAYS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_ended_days: Option<u32>,

    /// Checks no rates of comments and likes: for benches only, one viewer can fill a room.
    #[arg(long, env = "HUBBUB_NO_RATES", num_args = 0..=1, default_missing_value = "true", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_rates: Option<bool>,

    /// Milliseconds by which a message may be held back in a big room, so that one write brings several: a pass
    /// over its viewers that took 15 ms is followed by the next one 60 ms after its start, at most this long.
    /// Small rooms never wait, and nothing that comes alone does; where each pass finds several messages it may be
    /// half as long again, less where the passes themselves take long. Default 80, 0 (off) to 1000.
    /// Low: more CPU where comments are many. High: people see them late.
    #[arg(long, env = "HUBBUB_LINGER_MAX_MS", value_name = "MS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linger_max_ms: Option<u64>,

    /// Compresses what a room's viewers share, once for all whose browsers offer it (permessage-deflate).
    /// Default off. On: comments in batches take a half to a third of the bytes, at about 20 us of CPU for each
    /// batch of a room; it does not pay where bytes cost nothing, or rooms have one or two viewers.
    #[arg(
        long,
        env = "HUBBUB_COMPRESSION",
        value_name = "on|off",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "on",
        verbatim_doc_comment
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<bool>,

    /// Milliseconds that a request's head may take. Default 5000, 100 to 60000.
    /// Too few: phones on bad networks are cut. Too many: silent connections hold their places.
    #[arg(long, env = "HUBBUB_HEADER_TIMEOUT_MS", value_name = "MS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout_ms: Option<u64>,

    /// Milliseconds that a WebSocket whose buffers are full may take nothing; then it is closed and told to come
    /// back. Default 30000, 1000 to 600000. Too few: phones in a tunnel are cut. Too many: dead connections
    /// hold their places.
    #[arg(long, env = "HUBBUB_STALL_TIMEOUT_MS", value_name = "MS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout_ms: Option<u64>,

    /// Milliseconds between two pings to each WebSocket; one from which nothing was heard for two of them is closed and
    /// told to come back. Default 25000, 2000 to 120000. Few: phones wake up for it. Many: dead connections hold
    /// their places, and proxies that end what is idle end it.
    #[arg(long, env = "HUBBUB_PING_INTERVAL_MS", value_name = "MS", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_interval_ms: Option<u64>,

    /// How the log is written, to standard error. Default pretty.
    #[arg(long, env = "HUBBUB_LOG", value_name = "FORMAT", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFormat>,

    /// What is logged, as tracing's filters say it: info, or hubbub=debug,warn. Default info.
    /// Of the libraries nothing below info: they would write down tokens and what people say.
    #[arg(long, env = "HUBBUB_LOG_FILTER", value_name = "FILTER", verbatim_doc_comment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
}

/// What is wrong with the configuration, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// A file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The file with options is not as it must be.
    #[error("{}, line {line}: {reason}", path.display())]
    Toml {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// An option has a value that it cannot have.
    #[error("{option}: `{value}` {reason}")]
    Option {
        /// Its name as a flag.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret is not as it must be; it is not repeated.
    #[error("{option}: {reason}")]
    Secret {
        /// The option that names its file.
        option: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Secrets that stand in the environment itself.
#[derive(Default)]
pub struct Secrets {
    /// `HUBBUB_SECRET`.
    pub secret: Option<String>,
    /// `HUBBUB_STORE_KEY`.
    pub store_key: Option<String>,
}

impl Secrets {
    /// Reads them from this process's environment.
    pub fn from_environment() -> Self {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            secret: given("HUBBUB_SECRET"),
            store_key: given("HUBBUB_STORE_KEY"),
        }
    }
}

impl Options {
    /// Reads a file of options.
    ///
    /// # Errors
    ///
    /// See [`BadConfig`].
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = read(path)?;
        toml::from_str(&text).map_err(|error| BadConfig::Toml {
            path: path.to_owned(),
            line: error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            reason: error.message().lines().collect::<Vec<_>>().join(" "),
        })
    }

    /// These, and where they say nothing, those `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            data: self.data.or(below.data),
            public_url: self.public_url.or(below.public_url),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            metrics_listen: self.metrics_listen.or(below.metrics_listen),
            trusted_proxy: self.trusted_proxy.or(below.trusted_proxy),
            allow_origin: self.allow_origin.or(below.allow_origin),
            frame_ancestor: self.frame_ancestor.or(below.frame_ancestor),
            secret_file: self.secret_file.or(below.secret_file),
            previous_secret_file: self.previous_secret_file.or(below.previous_secret_file),
            store_key_file: self.store_key_file.or(below.store_key_file),
            previous_store_key_file: self.previous_store_key_file.or(below.previous_store_key_file),
            store_key_algorithm: self.store_key_algorithm.or(below.store_key_algorithm),
            store_issuer: self.store_issuer.or(below.store_issuer),
            drain_seconds: self.drain_seconds.or(below.drain_seconds),
            connections_max: self.connections_max.or(below.connections_max),
            connections_per_address: self.connections_per_address.or(below.connections_per_address),
            connections_per_viewer: self.connections_per_viewer.or(below.connections_per_viewer),
            connections_per_room: self.connections_per_room.or(below.connections_per_room),
            handshakes_per_address: self.handshakes_per_address.or(below.handshakes_per_address),
            newcomers_per_address: self.newcomers_per_address.or(below.newcomers_per_address),
            commands_per_viewer: self.commands_per_viewer.or(below.commands_per_viewer),
            commands_per_address: self.commands_per_address.or(below.commands_per_address),
            commands_per_room: self.commands_per_room.or(below.commands_per_room),
            commands_max: self.commands_max.or(below.commands_max),
            bytes_per_viewer: self.bytes_per_viewer.or(below.bytes_per_viewer),
            bytes_per_address: self.bytes_per_address.or(below.bytes_per_address),
            bytes_per_room: self.bytes_per_room.or(below.bytes_per_room),
            bytes_max: self.bytes_max.or(below.bytes_max),
            exempt: self.exempt.or(below.exempt),
            rooms_max: self.rooms_max.or(below.rooms_max),
            display_budget: self.display_budget.or(below.display_budget),
            unattended_minutes: self.unattended_minutes.or(below.unattended_minutes),
            forget_ended_days: self.forget_ended_days.or(below.forget_ended_days),
            no_rates: self.no_rates.or(below.no_rates),
            linger_max_ms: self.linger_max_ms.or(below.linger_max_ms),
            compression: self.compression.or(below.compression),
            header_timeout_ms: self.header_timeout_ms.or(below.header_timeout_ms),
            stall_timeout_ms: self.stall_timeout_ms.or(below.stall_timeout_ms),
            ping_interval_ms: self.ping_interval_ms.or(below.ping_interval_ms),
            log: self.log.or(below.log),
            log_filter: self.log_filter.or(below.log_filter),
        }
    }

    /// Checks them, fills in the defaults, and reads the secrets from their files; those in the environment
    /// count where no file is given.
    ///
    /// # Errors
    ///
    /// See [`BadConfig`].
    pub fn check(self, environment: Secrets) -> Result<Config, BadConfig> {
        let secret = from_file_or("--secret-file", self.secret_file.as_deref(), environment.secret)?;
        let previous_secret = from_file_or("--previous-secret-file", self.previous_secret_file.as_deref(), None)?;
        let stores = self.store_keys(environment.store_key)?;
        let loopback = || vec!["127.0.0.0/8".to_owned(), "::1".to_owned()];
        Ok(Config {
            listen: self.listen.unwrap_or((IpAddr::from(Ipv4Addr::LOCALHOST), 8080).into()),
            data: self.data.unwrap_or_else(|| PathBuf::from("./data")),
            public_url: self.public_url.map(|url| parsed("--public-url", &url)).transpose()?,
            tls: tls_files(self.tls_cert, self.tls_key)?,
            metrics_listen: self.metrics_listen,
            trusted_proxies: all_parsed("--trusted-proxy", self.trusted_proxy)?,
            allow_origins: all_parsed("--allow-origin", self.allow_origin)?,
            frame_ancestors: all_parsed("--frame-ancestor", self.frame_ancestor)?,
            secret,
            previous_secret,
            stores,
            drain: Duration::from_secs(within("--drain-seconds", self.drain_seconds.unwrap_or(8), 1, 300)?),
            connections_max: within(
                "--connections-max",
                self.connections_max.unwrap_or(20_000),
                1,
                1_000_000,
            )?,
            connections_per_address: within(
                "--connections-per-address",
                self.connections_per_address.unwrap_or(5_000),
                1,
                1_000_000,
            )?,
            connections_per_viewer: within(
                "--connections-per-viewer",
                self.connections_per_viewer.unwrap_or(16),
                1,
                1_000_000,
            )?,
            connections_per_room: match self.connections_per_room {
                None => None,
                Some(max) => Some(within("--connections-per-room", max, 1, 1_000_000)?),
            },
            handshakes_per_address: within(
                "--handshakes-per-address",
                self.handshakes_per_address.unwrap_or(1_000),
                1,
                1_000_000,
            )?,
            newcomers_per_address: within(
                "--newcomers-per-address",
                self.newcomers_per_address.unwrap_or(6_000),
                1,
                100_000_000,
            )?,
            commands_per_viewer: within(
                "--commands-per-viewer",
                self.commands_per_viewer.unwrap_or(20),
                1,
                1_000_000,
            )?,
            commands_per_address: within(
                "--commands-per-address",
                self.commands_per_address.unwrap_or(10_000),
                1,
                100_000_000,
            )?,
            commands_per_room: within(
                "--commands-per-room",
                self.commands_per_room.unwrap_or(20_000),
                1,
                100_000_000,
            )?,
            commands_max: within("--commands-max", self.commands_max.unwrap_or(50_000), 1, 100_000_000)?,
            bytes_per_viewer: within(
                "--bytes-per-viewer",
                self.bytes_per_viewer.unwrap_or(32 << 10),
                4 << 10,
                1 << 30,
            )?,
            bytes_per_address: within(
                "--bytes-per-address",
                self.bytes_per_address.unwrap_or(8 << 20),
                64 << 10,
                1 << 31,
            )?,
            bytes_per_room: within(
                "--bytes-per-room",
                self.bytes_per_room.unwrap_or(16 << 20),
                64 << 10,
                1 << 31,
            )?,
            bytes_max: within("--bytes-max", self.bytes_max.unwrap_or(32 << 20), 64 << 10, 1 << 31)?,
            exempt: all_parsed("--exempt", Some(self.exempt.unwrap_or_else(loopback)))?,
            rooms_max: within("--rooms-max", self.rooms_max.unwrap_or(10_000), 1, 1_000_000)?,
            display_budget: budget(self.display_budget)?,
            unattended: Duration::from_millis(
                60_000
                    * within(
                        "--unattended-minutes",
                        self.unattended_minutes.unwrap_or(UNATTENDED_MS / 60_000),
                        1,
                        24 * 60,
                    )?,
            ),
            forget_ended_days: self
                .forget_ended_days
                .map(|days| within("--forget-ended-days", days, 1, 36_500))
                .transpose()?,
            rates: !self.no_rates.unwrap_or(false),
            echo: false,
            linger_max: Duration::from_millis(within("--linger-max-ms", self.linger_max_ms.unwrap_or(80), 0, 1_000)?),
            compression: self.compression.unwrap_or(false),
            header_timeout: Duration::from_millis(within(
                "--header-timeout-ms",
                self.header_timeout_ms.unwrap_or(5_000),
                100,
                60_000,
            )?),
            stall_timeout: Duration::from_millis(within(
                "--stall-timeout-ms",
                self.stall_timeout_ms.unwrap_or(30_000),
                1_000,
                600_000,
            )?),
            ping_interval: Duration::from_millis(within(
                "--ping-interval-ms",
                self.ping_interval_ms.unwrap_or(25_000),
                2_000,
                120_000,
            )?),
            log: self.log.unwrap_or_default(),
            log_filter: checked_filter(self.log_filter.unwrap_or_else(|| "info".to_owned()))?,
        })
    }

    fn store_keys(&self, environment: Option<String>) -> Result<Vec<StoreKey>, BadConfig> {
        let algorithm = self.store_key_algorithm.as_deref().unwrap_or("HS256");
        if !StoreKey::ALGORITHMS.contains(&algorithm) {
            return Err(BadConfig::Secret {
                option: "--store-key-algorithm",
                reason: BadStoreKey::Algorithm.to_string(),
            });
        }
        let issuer = self.store_issuer.as_deref().unwrap_or("store");
        let key = |option, file: &Option<PathBuf>, environment| {
            let key = file.as_deref().map(read).transpose()?.or(environment);
            let key = key.map(|key| StoreKey::new(algorithm, key.trim().as_bytes(), issuer));
            key.transpose().map_err(|reason| BadConfig::Secret {
                option,
                reason: reason.to_string(),
            })
        };
        let current = key("--store-key-file", &self.store_key_file, environment)?;
        let previous = key("--previous-store-key-file", &self.previous_store_key_file, None)?;
        Ok(current.into_iter().chain(previous).collect())
    }
}

/// The options that give this configuration again, but for the secrets and where they are.
impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        fn texts<T: ToString>(values: &[T]) -> Option<Vec<String>> {
            Some(values.iter().map(T::to_string).collect())
        }
        Self {
            listen: Some(config.listen),
            data: Some(config.data.clone()),
            public_url: config.public_url.as_ref().map(Origin::to_string),
            tls_cert: config.tls.as_ref().map(|files| files.cert.clone()),
            tls_key: config.tls.as_ref().map(|files| files.key.clone()),
            metrics_listen: config.metrics_listen,
            trusted_proxy: texts(&config.trusted_proxies),
            allow_origin: texts(&config.allow_origins),
            frame_ancestor: texts(&config.frame_ancestors),
            secret_file: None,
            previous_secret_file: None,
            store_key_file: None,
            previous_store_key_file: None,
            store_key_algorithm: None,
            store_issuer: None,
            drain_seconds: Some(config.drain.as_secs()),
            connections_max: Some(config.connections_max),
            connections_per_address: Some(config.connections_per_address),
            connections_per_viewer: Some(config.connections_per_viewer),
            connections_per_room: config.connections_per_room,
            handshakes_per_address: Some(config.handshakes_per_address),
            newcomers_per_address: Some(config.newcomers_per_address),
            commands_per_viewer: Some(config.commands_per_viewer),
            commands_per_address: Some(config.commands_per_address),
            commands_per_room: Some(config.commands_per_room),
            commands_max: Some(config.commands_max),
            bytes_per_viewer: Some(config.bytes_per_viewer),
            bytes_per_address: Some(config.bytes_per_address),
            bytes_per_room: Some(config.bytes_per_room),
            bytes_max: Some(config.bytes_max),
            exempt: texts(&config.exempt),
            rooms_max: Some(config.rooms_max),
            display_budget: Some(config.display_budget.map_or("off".to_owned(), |n| n.to_string())),
            unattended_minutes: Some(config.unattended.as_secs() / 60),
            forget_ended_days: config.forget_ended_days,
            no_rates: Some(!config.rates),
            linger_max_ms: Some(config.linger_max.as_millis() as u64),
            compression: Some(config.compression),
            header_timeout_ms: Some(config.header_timeout.as_millis() as u64),
            stall_timeout_ms: Some(config.stall_timeout.as_millis() as u64),
            ping_interval_ms: Some(config.ping_interval.as_millis() as u64),
            log: Some(config.log),
            log_filter: Some(config.log_filter.clone()),
        }
    }
}

/// Writes options as a file, each under its explanation; what is not set stands in a comment.
pub(super) fn write_file(f: &mut fmt::Formatter<'_>, options: &Options) -> fmt::Result {
    let values = toml::Table::try_from(options).map_err(|_| fmt::Error)?;
    let command = Options::augment_args(clap::Command::new("hubbub"));
    for argument in command.get_arguments() {
        let help = argument.get_long_help().or(argument.get_help());
        for line in help.map(ToString::to_string).unwrap_or_default().lines() {
            writeln!(f, "# {line}")?;
        }
        let name = argument.get_id().as_str();
        match values.get(name) {
            Some(value) => writeln!(f, "{name} = {value}\n")?,
            None => writeln!(f, "# {name} =\n")?,
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, BadConfig> {
    std::fs::read_to_string(path).map_err(|cause| BadConfig::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    })
}

fn parsed<T: FromStr<Err: fmt::Display>>(option: &'static str, value: &str) -> Result<T, BadConfig> {
    value.parse().map_err(|reason: T::Err| BadConfig::Option {
        option,
        value: value.to_owned(),
        reason: reason.to_string(),
    })
}

fn all_parsed<T: FromStr<Err: fmt::Display>>(
    option: &'static str,
    values: Option<Vec<String>>,
) -> Result<Vec<T>, BadConfig> {
    let values = values.unwrap_or_default();
    values.iter().map(|value| parsed(option, value.trim())).collect()
}

fn within<T: PartialOrd + fmt::Display + Copy>(option: &'static str, value: T, min: T, max: T) -> Result<T, BadConfig> {
    if value < min || value > max {
        return Err(BadConfig::Option {
            option,
            value: value.to_string(),
            reason: format!("is not from {min} to {max}"),
        });
    }
    Ok(value)
}

fn budget(given: Option<String>) -> Result<Option<u32>, BadConfig> {
    const OPTION: &str = "--display-budget";
    match given.as_deref() {
        None => Ok(Some(DISPLAY_BUDGET)),
        Some("off") => Ok(None),
        Some(number) => {
            let number = number.parse().map_err(|_| BadConfig::Option {
                option: OPTION,
                value: number.to_owned(),
                reason: "is not a whole number or `off`".to_owned(),
            })?;
            within(OPTION, number, 1, 1_000).map(Some)
        }
    }
}

/// Both or none; they must be usable.
fn tls_files(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Files>, BadConfig> {
    let refused = |option, reason: String| BadConfig::Secret { option, reason };
    let files = match (cert, key) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(refused("--tls-cert", "needs --tls-key too".to_owned())),
        (None, Some(_)) => return Err(refused("--tls-key", "needs --tls-cert too".to_owned())),
        (Some(cert), Some(key)) => Files { cert, key },
    };
    let option = |error: &BadCertificate| match error {
        BadCertificate::Cert { .. } => "--tls-cert",
        BadCertificate::Key { .. } | BadCertificate::Pair { .. } => "--tls-key",
    };
    match files.load() {
        Ok(_) => Ok(Some(files)),
        Err(error) => Err(refused(option(&error), error.to_string())),
    }
}

fn checked_filter(filter: String) -> Result<String, BadConfig> {
    parsed::<tracing_subscriber::EnvFilter>("--log-filter", &filter).map(|_| filter)
}

fn from_file_or(
    option: &'static str,
    path: Option<&Path>,
    environment: Option<String>,
) -> Result<Option<SigningSecret>, BadConfig> {
    let text = path.map(read).transpose()?.or(environment);
    let secret = text.map(|text| text.parse()).transpose();
    secret.map_err(|reason: BadSecret| BadConfig::Secret {
        option,
        reason: reason.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Options, BadConfig> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("hubbub.toml");
        std::fs::write(&path, text).expect("writes");
        Options::read(&path)
    }

    fn sentence(options: Options) -> String {
        options
            .check(Secrets::default())
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn what_is_given_nearer_wins() {
        let flags = Options {
            drain_seconds: Some(3),
            ..Options::default()
        };
        let below = file("drain_seconds = 5\nrooms_max = 7\ntrusted_proxy = ['10.0.0.0/8']").expect("reads");
        let config = flags.over(below).check(Secrets::default()).expect("is good");
        assert_eq!(config.drain, Duration::from_secs(3));
        assert_eq!(config.rooms_max, 7);
        assert_eq!(config.trusted_proxies.len(), 1);
        assert_eq!(config.connections_max, 20_000);
    }

    #[test]
    fn one_address_may_have_a_whole_carriers_viewers_and_few_silent_sockets() {
        let config = Options::default().check(Secrets::default()).expect("is good");
        assert!(config.connections_per_address >= 5_000);
        assert!(config.handshakes_per_address <= 1_000);
        assert!(
            config.commands_per_address as usize >= config.connections_per_address,
            "they may all claim at once"
        );
    }

    #[test]
    fn a_printed_configuration_reads_back_as_itself() {
        let given =
            file("display_budget = 'off'\npublic_url = 'https://live.example'\nno_rates = true").expect("reads");
        let config = given.check(Secrets::default()).expect("is good");
        let again = file(&config.to_string())
            .expect("reads")
            .check(Secrets::default())
            .expect("is good");
        assert_eq!(Options::from(&again), Options::from(&config));
    }

    #[test]
    fn each_wrong_value_is_named_in_one_sentence() {
        let public_url = Options {
            public_url: Some("live.example/path".to_owned()),
            ..Options::default()
        };
        assert_eq!(
            sentence(public_url),
            "--public-url: `live.example/path` is not http:// or https://, a host and perhaps a port, without a path"
        );
        let drain_seconds = Options {
            drain_seconds: Some(0),
            ..Options::default()
        };
        assert_eq!(sentence(drain_seconds), "--drain-seconds: `0` is not from 1 to 300");
        let exempt = Options {
            exempt: Some(vec!["10.0.0.0/99".to_owned()]),
            ..Options::default()
        };
        assert!(sentence(exempt).starts_with("--exempt: `10.0.0.0/99` is not an address"));
        let display_budget = Options {
            display_budget: Some("some".to_owned()),
            ..Options::default()
        };
        assert!(sentence(display_budget).contains("whole number or `off`"));
    }

    #[test]
    fn a_files_mistake_is_named_with_its_line() {
        let error = file("rooms_max = 7\nroms_max = 8")
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains("line 2: unknown field `roms_max`"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn secrets_are_in_no_output() {
        const KEY: &str = "canary-canary-canary-canary-canary";
        let secret = "ca".repeat(32);
        let secrets = Secrets {
            secret: Some(secret.clone()),
            store_key: Some(KEY.to_owned()),
        };
        let config = Options::default().check(secrets).expect("is good");
        let shown = format!("{config:?}{config}");
        assert!(config.stores.len() == 1 && config.secret.is_some());
        assert!(!shown.contains(KEY) && !shown.contains(&secret), "{shown}");
        let wrong = Secrets {
            secret: Some("canary".to_owned()),
            ..Secrets::default()
        };
        let error = Options::default()
            .check(wrong)
            .expect_err("must be refused")
            .to_string();
        assert!(
            error.starts_with("--secret-file: ") && !error.contains("canary"),
            "{error}"
        );
    }
}
