//! The REST API under [`PREFIX`]: JSON in and out, `Authorization: Bearer`, typed errors, the same commands as the
//! socket. One file a resource. Its document is served at [`PREFIX`]`/openapi.json`.

mod access;
pub(super) mod calendar;
mod comments;
pub(super) mod cover;
mod discounts;
mod draws;
mod handover;
mod jpeg;
mod links;
mod results;
mod rooms;
mod sign_in;
mod staff;
mod table;
mod tries;
mod viewers;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::App;
use super::error::{Error, ErrorBody, ErrorDetail};
use crate::room::{Answer, Luck};

pub(super) use draws::Transcripts;
pub(super) use handover::Handovers;
pub(super) use rooms::Copies;
pub(super) use tries::Guesses;

#[cfg(any(test, fuzzing))]
pub use table::fuzz as fuzz_csv;

/// Where the API is.
pub(super) const PREFIX: &str = "/api/v1";

/// Path and description of each name in an address.
const PARAMETERS: [(&str, &str); 10] = [
    ("room", "The room's name in links"),
    ("draw", "The draw's name, 1-40 of `A-Z a-z 0-9 _ -`"),
    ("entry", "The entry's number"),
    ("discount", "The discount's name, 1-40 of `A-Z a-z 0-9 _ -`"),
    ("comment", "The comment's id"),
    ("deletion", "The deletion's offset, from its answer"),
    ("viewer", "The viewer's number in the room"),
    ("identity", "The viewer's lasting identity, 32 hexadecimal digits"),
    ("invitation", "The invitation's name"),
    ("person", "The person, 32 hexadecimal digits"),
];

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(sign_in::routes())
        .merge(rooms::routes())
        .merge(cover::routes())
        .merge(links::routes())
        .merge(draws::routes())
        .merge(discounts::routes())
        .merge(comments::routes())
        .merge(staff::routes())
        .merge(handover::routes())
        .merge(viewers::routes())
        .merge(results::routes())
}

/// The routes, with their document.
pub(super) fn routes() -> Router<App> {
    let (router, document) = OpenApiRouter::new().nest(PREFIX, described()).split_for_parts();
    let text = completed(document).to_json().expect("the document has string keys");
    let text = Bytes::from(text);
    let serve = move || async move {
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
        (headers, text).into_response()
    };
    router.route(&format!("{PREFIX}/openapi.json"), get(serve))
}

/// Adds what all operations share: who we are, the token, the errors, the names in addresses.
fn completed(document: OpenApi) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Hubbub")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Drive shows: rooms, draws, discounts, comments, staff, results; read and erase what is held of a viewer.",
        ));
    let mut document = OpenApiBuilder::from(document)
        .info(info)
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new("token", Vec::<String>::new()),
        ]))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components
        .schemas
        .insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    components
        .schemas
        .insert(ErrorDetail::name().into_owned(), ErrorDetail::schema());
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let error = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name())));
            let error = ResponseBuilder::new()
                .description("What went wrong")
                .content("application/json", error.build())
                .build();
            operation.responses.responses.insert("default".to_owned(), error.into());
            let named = PARAMETERS
                .iter()
                .filter(|(name, _)| path.contains(&format!("{{{name}}}")));
            let parameters = named.map(|(name, description)| {
                ParameterBuilder::new()
                    .name(*name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .description(Some(*description))
                    .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                    .build()
                    .into()
            });
            operation.parameters.get_or_insert_default().extend(parameters);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Fresh luck.
fn luck() -> Luck {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    Luck::new(bytes)
}

/// `2026-09-21T14:13:20Z`, for people's tables.
fn time_text(ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(
        || ms.to_string(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// A command was answered as only another one is: a fault of ours.
fn unexpected(answer: &Answer) -> Error {
    tracing::error!(kind = ?std::mem::discriminant(answer), "a command got the answer of another");
    Error::Internal
}
