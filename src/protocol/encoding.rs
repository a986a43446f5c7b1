//! The two encodings of the same messages, and the strict reading of requests.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::{Hello, Numbered, Request, Seen};
use crate::room::Command;

/// Deepest nesting of a request.
const DEPTH_MAX: usize = 16;
/// Largest id of a request: what JavaScript can count to.
const ID_MAX: u64 = (1 << 53) - 1;

/// How messages are written. Both have the same names of fields; MessagePack writes structs as maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Text frames.
    Json,
    /// Binary frames.
    MessagePack,
}

impl Encoding {
    /// Both, in the order of [`Encoding::index`].
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// Its place in tables.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The WebSocket subprotocol that asks for it.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "hubbub.v1.json",
            Self::MessagePack => "hubbub.v1.msgpack",
        }
    }

    /// Writes a message.
    pub fn encode<T: Serialize>(self, message: &T) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(message).expect("messages have string keys and no failing impls"),
            Self::MessagePack => rmp_serde::to_vec_named(message).expect("messages have known lengths"),
        }
    }

    /// Reads a message of the server: what clients in Rust use.
    ///
    /// # Errors
    ///
    /// The decoder's sentence.
    pub fn decode<'de, T: Deserialize<'de>>(self, bytes: &'de [u8]) -> Result<T, String> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(|error| error.to_string()),
        }
    }

    /// Reads a request, strictly: no duplicate keys, no unknown or missing fields, no deep nesting.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] with the id, where that could be read.
    pub fn decode_request(self, bytes: &[u8]) -> Result<Numbered, BadRequest> {
        let value = match self {
            Self::Json => strict_json(bytes),
            Self::MessagePack => strict_message_pack(bytes),
        };
        match value {
            Ok(Value::Object(object)) => request(object),
            Ok(_) => Err(BadRequest {
                re: None,
                code: "bad_json",
                message: "a request is an object".to_owned(),
            }),
            Err(unreadable) => Err(BadRequest {
                re: None,
                code: match unreadable {
                    Unreadable::Malformed(_) => "bad_json",
                    Unreadable::NumberTooLarge(_) => "bad_field",
                },
                message: unreadable.to_string(),
            }),
        }
    }
}

/// Why bytes are no value that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// They are not JSON (or MessagePack), have a key twice, or nest too deep.
    #[error("{0}")]
    Malformed(String),
    /// A number is beyond all that can be held: `1e999`, which is JSON all the same.
    #[error("{0}")]
    NumberTooLarge(String),
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let message = error.to_string();
        match message.starts_with("number out of range") {
            true => Self::NumberTooLarge(message),
            false => Self::Malformed(message),
        }
    }
}

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// Its id, where that could be read.
    pub re: Option<u64>,
    /// `bad_json`, `bad_field` or `unknown_command`.
    pub code: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// The commands of a socket that are not a room's.
const OWN: [&str; 4] = ["hello", "ping", "like", "seen"];

fn request(mut object: Map<String, Value>) -> Result<Numbered, BadRequest> {
    let id = object.remove("id");
    let bad = |re, code, message: String| Err(BadRequest { re, code, message });
    let id = match id {
        None => None,
        Some(id) => match id.as_u64().filter(|id| *id <= ID_MAX) {
            Some(id) => Some(id),
            None => {
                return bad(
                    None,
                    "bad_field",
                    "`id` is a whole number from 0 to 2^53 - 1".to_owned(),
                );
            }
        },
    };
    let Some(Value::String(name)) = object.remove("cmd") else {
        return bad(id, "bad_field", "`cmd` is missing or not a text".to_owned());
    };
    let args = object.remove("args").unwrap_or_else(|| Value::Object(Map::new()));
    if !args.is_object() {
        // Else a list would pass for the fields in their order.
        return bad(id, "bad_field", "`args` is not an object".to_owned());
    }
    if let Some(unknown) = object.keys().next() {
        return bad(id, "bad_field", format!("unknown field `{unknown}`"));
    }
    if id.is_none() && !matches!(name.as_str(), "like" | "seen") {
        return bad(None, "bad_field", "`id` is missing".to_owned());
    }
    match typed(&name, args) {
        Ok(Some(request)) => Ok(Numbered { id, request }),
        Ok(None) => bad(id, "unknown_command", format!("there is no command `{name}`")),
        Err(error) => bad(id, "bad_field", error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Like {
    taps: u32,
}

fn typed(name: &str, args: Value) -> Result<Option<Request>, serde_json::Error> {
    Ok(Some(match name {
        "hello" => Request::Hello(Hello::deserialize(args)?),
        "ping" => crate::room::Empty::deserialize(args).map(|_| Request::Ping)?,
        "like" => Request::Like {
            taps: Like::deserialize(args)?.taps,
        },
        "seen" => Request::Seen(Seen::deserialize(args)?),
        _ => match command(name, args)? {
            Some(command) => Request::Command(command),
            None => return Ok(None),
        },
    }))
}

/// Reads a room's command from its name and arguments; `None` if there is no such command. REST uses it too.
///
/// # Errors
///
/// What is wrong with the arguments.
pub fn command(name: &str, args: Value) -> Result<Option<Command>, serde_json::Error> {
    let known = Command::deserialize(serde_json::json!({ "cmd": name, "args": null }));
    let unknown = known.is_err_and(|error| error.to_string().starts_with("unknown variant"));
    if unknown || OWN.contains(&name) {
        return Ok(None);
    }
    Command::deserialize(serde_json::json!({ "cmd": name, "args": args })).map(Some)
}

/// Reads JSON as requests are read: no duplicate keys, no deep nesting, nothing behind it.
///
/// # Errors
///
/// What is wrong with it.
pub fn strict_json(bytes: &[u8]) -> Result<Value, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(DEPTH_MAX).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The same for MessagePack.
fn strict_message_pack(bytes: &[u8]) -> Result<Value, Unreadable> {
    let mut rest = bytes;
    let value = Strict(DEPTH_MAX).deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
    let value = value.map_err(|error| Unreadable::Malformed(error.to_string()))?;
    match rest.len() {
        0 => Ok(value),
        more => Err(Unreadable::Malformed(format!("{more} bytes follow the request"))),
    }
}

/// Builds a [`Value`], refusing duplicate keys and nesting deeper than the number.
#[derive(Clone, Copy)]
struct Strict(usize);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("duplicate key `{key}`")));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom("nested too deeply"))
    }
}
