//! Pictures to upload.

use img_parts::png::PngChunk;

/// A PNG of one pixel that says something about its maker, with so many bytes of what passes for pixels.
pub(crate) fn png(bytes: usize) -> Vec<u8> {
    let pixels: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
    let chunks = [
        (*b"IHDR", vec![0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]),
        (*b"tEXt", b"Author\0Ann".to_vec()),
        (*b"IDAT", pixels),
        (*b"IEND", Vec::new()),
    ];
    chunks
        .into_iter()
        .fold(b"\x89PNG\r\n\x1a\n".to_vec(), |mut png, (kind, contents)| {
            png.extend(PngChunk::new(kind, contents.into()).encoder().bytes());
            png
        })
}
