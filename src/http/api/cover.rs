//! Covers: uploaded pictures, stripped of what they tell about the photographer, and served from here.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use img_parts::png::Png;
use img_parts::riff::RiffContent;
use img_parts::webp::WebP;
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Done, DoneBody};
use super::jpeg;
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::{Path, body};
use crate::room::show::{Change, Cover};
use crate::room::staff::Need;
use crate::room::{Command, Hash, RoomId};

/// Largest upload.
const COVER_BYTES_MAX: usize = 5 << 20;
/// Longest side in pixels: a phone's photo has 4,000 to 8,000.
const SIDE_MAX: u32 = 10_000;
/// What the upload may say it is; what it is, its content says.
const KINDS: &[&str] = &["image/jpeg", "image/png", "image/webp", "application/octet-stream"];
/// Read at a time of a picture that is downloaded.
const PIECE_BYTES: u64 = 16 << 10;
/// The folder of covers in the data folder.
const FOLDER: &str = "covers";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Upload a picture and make it the room's cover: JPEG, PNG or WebP, at most 5 MB. Its metadata is removed.
#[utoipa::path(put, path = "/rooms/{room}/cover", tag = "rooms",
    request_body(content = Vec<u8>, content_type = "image/jpeg"), responses((status = 200, body = DoneBody)))]
async fn upload(State(app): State<App>, caller: Caller, Path(room): Path<RoomId>, request: Request) -> Done {
    app.look(&caller, &room, Need::Host, |_, _| Ok(())).await?;
    let uploaded = body(request, KINDS, COVER_BYTES_MAX).await?;
    let data = app.config.data.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let picture = Picture::read(uploaded).ok_or_else(|| Error::BadBody {
            reason: "it is no whole JPEG, PNG or WebP picture of at most 10,000 by 10,000 pixels".to_owned(),
        })?;
        picture.store(&data).map_err(|error| {
            tracing::error!(%error, "a cover cannot be stored");
            Error::Internal
        })?;
        Ok::<_, Error>(picture.cover)
    });
    let cover = stored.await.map_err(|error| {
        tracing::error!(%error, "a picture could not be read");
        Error::Internal
    })??;
    let change = Change {
        cover: Some(Some(cover)),
        ..Change::default()
    };
    app.act(&caller, &room, Command::Change(change)).await
}

/// A picture without metadata.
struct Picture {
    cover: Cover,
    bytes: Bytes,
}

impl Picture {
    /// What an upload is, by its content; nothing if it is no picture that we serve.
    fn read(uploaded: Bytes) -> Option<Self> {
        let (extension, bytes, turned) = match uploaded.as_ref() {
            [0xff, 0xd8, ..] => {
                let jpeg = jpeg::stripped(&uploaded)?;
                ("jpg", jpeg.bytes.into(), jpeg.turned)
            }
            [0x89, b'P', b'N', b'G', ..] => ("png", stripped_png(uploaded)?, false),
            [b'R', b'I', b'F', b'F', ..] => ("webp", stripped_webp(uploaded)?, false),
            _ => return None,
        };
        let size = imagesize::blob_size(&bytes).ok()?;
        let side = |pixels: usize| u32::try_from(pixels).ok().filter(|side| (1..=SIDE_MAX).contains(side));
        let (width, height) = (side(size.width)?, side(size.height)?);
        let (width, height) = if turned { (height, width) } else { (width, height) };
        let hash = Hash(Sha256::digest(&bytes).into());
        let cover = Cover {
            file: format!("{hash}.{extension}"),
            width,
            height,
        };
        Some(Self { cover, bytes })
    }

    /// Writes it, unless it is there already: aside first, so that nobody is ever served half of it.
    fn store(&self, data: &std::path::Path) -> io::Result<()> {
        let folder = data.join(FOLDER);
        let path = folder.join(&self.cover.file);
        if path.try_exists()? {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let aside = folder.join(format!(".{:032x}", crate::auth::random_u128()));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&aside)?;
        let written = file.write_all(&self.bytes).and_then(|()| file.sync_all());
        match written.and_then(|()| std::fs::rename(&aside, &path)) {
            Ok(()) => File::open(&folder)?.sync_all(),
            Err(error) => {
                // What is left aside is in nobody's way; the cause is told.
                let _ = std::fs::remove_file(&aside);
                Err(error)
            }
        }
    }
}

/// The chunks that a picture needs to look right: pixels, palette, transparency, colours, animation.
fn stripped_png(uploaded: Bytes) -> Option<Bytes> {
    const KEPT: [&[u8; 4]; 14] = [
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"acTL",
        b"fcTL", b"fdAT",
    ];
    let mut png = Png::from_bytes(uploaded).ok()?;
    let chunks = png.chunks_mut();
    chunks.retain(|chunk| KEPT.contains(&&chunk.kind()));
    let whole = chunks.first()?.kind() == *b"IHDR" && chunks.last()?.kind() == *b"IEND";
    whole.then(|| png.encoder().bytes())
}

fn stripped_webp(uploaded: Bytes) -> Option<Bytes> {
    const KEPT: [&[u8; 4]; 7] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
    /// Flags of the header chunk: Exif and XMP follow.
    const TOLD: u8 = 0x08 | 0x04;
    let mut webp = WebP::from_bytes(uploaded).ok()?;
    webp.chunks_mut().retain(|chunk| KEPT.contains(&&chunk.id()));
    let header = webp.chunks_mut().iter_mut().find(|chunk| chunk.id() == *b"VP8X");
    if let Some(RiffContent::Data(header)) = header.map(|chunk| chunk.content_mut()) {
        let mut bytes = header.to_vec();
        *bytes.first_mut()? &= !TOLD;
        *header = bytes.into();
    }
    Some(webp.encoder().bytes())
}

/// `GET /covers/{file}`: a file's name is the hash of its content, so it never changes.
pub(in crate::http) async fn serve(State(app): State<App>, Path(file): Path<String>) -> Result<Response, Error> {
    let (hash, extension) = file.split_once('.').ok_or(Error::NotFound)?;
    let kind = match extension {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        _ => return Err(Error::NotFound),
    };
    // Only what `store` could have named: no other path can be spelled.
    let hash: Hash = hash.parse().map_err(|_| Error::NotFound)?;
    let path = app.config.data.join(FOLDER).join(format!("{hash}.{extension}"));
    let file = tokio::fs::metadata(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound,
        _ => {
            tracing::error!(%error, "a cover cannot be read");
            Error::Internal
        }
    })?;
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    let length = [(CONTENT_LENGTH, file.len())];
    Ok((headers, length, Body::from_stream(pieces(path, file.len()))).into_response())
}

/// The content of a file that never changes. Whoever stops reading it holds one piece in memory, and no file open.
fn pieces(path: PathBuf, length: u64) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::try_unfold(0, move |begin| {
        let path = path.clone();
        let piece = PIECE_BYTES.min(length - begin);
        let read = move || {
            let mut bytes = vec![0; piece as usize];
            File::open(&path)?.read_exact_at(&mut bytes, begin)?;
            Ok((bytes, begin + piece))
        };
        async move {
            match piece {
                0 => Ok(None),
                _ => tokio::task::spawn_blocking(read).await?.map(Some),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use img_parts::png::PngChunk;
    use img_parts::riff::RiffChunk;
    use proptest::prelude::*;

    use super::*;

    const CANARY: &[u8] = b"GPS 31.2304N 121.4737E";

    fn png() -> Bytes {
        let header = [0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0];
        let chunks = [
            (*b"IHDR", header.to_vec()),
            (*b"eXIf", CANARY.to_vec()),
            (*b"tEXt", CANARY.to_vec()),
            (*b"IDAT", b"pixels".to_vec()),
            (*b"tIME", CANARY[..7].to_vec()),
            (*b"IEND", Vec::new()),
        ];
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, contents) in chunks {
            bytes.extend(PngChunk::new(kind, contents.into()).encoder().bytes());
        }
        bytes.extend(CANARY);
        bytes.into()
    }

    fn webp() -> Bytes {
        let data = |id: &[u8; 4], bytes: &[u8]| RiffChunk::new(*id, RiffContent::Data(Bytes::copy_from_slice(bytes)));
        let chunks = vec![
            data(b"VP8X", &[0x1c, 0, 0, 0, 2, 0, 0, 1, 0, 0]),
            data(b"VP8L", &[0x2f, 2, 0x40, 0, 0x10, 0]),
            data(b"EXIF", CANARY),
            data(b"XMP ", CANARY),
            data(b"junk", CANARY),
        ];
        let list = RiffContent::List {
            kind: Some(*b"WEBP"),
            subchunks: chunks,
        };
        RiffChunk::new(*b"RIFF", list).encoder().bytes()
    }

    fn holds(bytes: &[u8], needle: &[u8]) -> bool {
        bytes.windows(needle.len()).any(|window| window == needle)
    }

    #[track_caller]
    fn check(uploaded: Bytes, extension: &str, size: (u32, u32)) {
        let picture = Picture::read(uploaded).unwrap();
        assert!(picture.cover.file.ends_with(extension), "{}", picture.cover.file);
        assert_eq!((picture.cover.width, picture.cover.height), size);
        assert!(!holds(&picture.bytes, &CANARY[..7]), "metadata stayed");
        let again = Picture::read(picture.bytes.clone()).unwrap();
        assert_eq!(
            again.cover, picture.cover,
            "what is stripped is a picture, and stays as it is"
        );
    }

    #[test]
    fn metadata_is_stripped_from_every_kind_of_picture() {
        check(png(), ".png", (3, 2));
        check(webp(), ".webp", (3, 2));
        check(jpeg::tests::photo(1, CANARY), ".jpg", (3, 2));
    }

    #[test]
    fn a_photo_that_was_held_upright_stays_upright() {
        check(jpeg::tests::photo(6, CANARY), ".jpg", (2, 3));
    }

    #[test]
    fn a_webp_says_no_longer_that_metadata_follows() {
        let stripped = stripped_webp(webp()).unwrap();
        let flags = stripped[20];
        assert_eq!(flags, 0x10, "transparency stays");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let huge = {
            let mut header = vec![0, 0, 0x27, 0x11, 0, 0, 0, 2];
            header.extend([8, 2, 0, 0, 0]);
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            bytes.extend(PngChunk::new(*b"IHDR", header.into()).encoder().bytes());
            bytes.extend(PngChunk::new(*b"IEND", Bytes::new()).encoder().bytes());
            bytes
        };
        let cases: [&[u8]; 7] = [
            b"",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            b"GIF89a\x01\0\x01\0",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\x04\0\0\0WAVE",
            &huge,
        ];
        for case in cases {
            assert!(Picture::read(Bytes::copy_from_slice(case)).is_none(), "{case:?}");
        }
        for picture in [
            png().slice(..60),
            webp().slice(..40),
            jpeg::tests::photo(1, CANARY).slice(..60),
        ] {
            assert!(Picture::read(picture).is_none(), "cut");
        }
    }

    proptest! {
        #[test]
        fn damaged_pictures_harm_nobody(which in 0..3, place in 0usize..400, byte: u8, cut in 0usize..400) {
            let whole = [png(), webp(), jpeg::tests::photo(6, CANARY)][which as usize].clone();
            let mut bytes = whole.to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut % 100));
            // It may be a picture or not: neither panics.
            let _ = Picture::read(bytes.into());
        }
    }

    #[test]
    fn a_cover_is_stored_once_under_the_hash_of_its_content_for_the_server_alone() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Picture::read(png()).unwrap();
        picture.store(folder.path()).unwrap();
        picture.store(folder.path()).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path().join(FOLDER))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].file_name().to_str(), Some(picture.cover.file.as_str()));
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
