//! JPEG pictures (ITU T.81) without what they tell besides the picture. By hand, since the libraries that take
//! files apart leave everything behind the first scan as it is: there phones put further pictures and places.

/// A stripped picture.
pub(super) struct Jpeg {
    /// The file.
    pub(super) bytes: Vec<u8>,
    /// It is shown with width and height exchanged.
    pub(super) turned: bool,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const COMMENT: u8 = 0xfe;
/// Application segments: JFIF, Exif, ICC profiles ... Adobe's.
const APP: std::ops::RangeInclusive<u8> = 0xe0..=0xef;
const JFIF: u8 = 0xe0;
const EXIF: u8 = 0xe1;
const ICC: u8 = 0xe2;
/// It says how colours are meant: without it some pictures turn green.
const ADOBE: u8 = 0xee;

/// Takes a file apart and puts it together again with what the picture needs; nothing if it is not whole. How
/// the camera was held stays, as an Exif segment that says nothing else.
pub(super) fn stripped(file: &[u8]) -> Option<Jpeg> {
    let mut rest = file.strip_prefix(&[0xff, SOI])?;
    let mut kept = vec![0xff, SOI];
    let mut orientation = None;
    loop {
        let marker;
        (marker, rest) = next_marker(rest)?;
        if marker == EOI {
            kept.extend([0xff, EOI]);
            break;
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let (segment, behind) = rest.split_at_checked(length)?;
        let contents = segment.get(2..)?;
        rest = behind;
        if marker == EXIF {
            orientation = orientation.or_else(|| orientation_in(contents.strip_prefix(b"Exif\0\0")?));
        }
        let needed = match marker {
            JFIF | ADOBE => true,
            ICC => contents.starts_with(b"ICC_PROFILE\0"),
            COMMENT => false,
            other => !APP.contains(&other),
        };
        if needed {
            kept.extend([0xff, marker]);
            kept.extend(segment);
        }
        if marker == SOS {
            let scan;
            (scan, rest) = rest.split_at(scan_length(rest)?);
            kept.extend(scan);
        }
    }
    let turn = orientation.filter(|turn| (2..=8).contains(turn));
    if let Some(turn) = turn {
        kept.splice(2..2, exif_with(turn));
    }
    Some(Jpeg {
        bytes: kept,
        turned: turn.is_some_and(|turn| turn >= 5),
    })
}

/// The next marker and what follows it; fill bytes are passed over.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(&[0xff])?;
    let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
    let (marker, rest) = rest[fill..].split_first()?;
    // 0 is no marker; restarts and a further start have no place between segments.
    (!matches!(marker, 0 | 0x01 | 0xd0..=SOI)).then_some((*marker, rest))
}

/// How far the scan goes: up to a marker other than the stuffed zero and the restarts.
fn scan_length(bytes: &[u8]) -> Option<usize> {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7);
    bytes.windows(2).position(ends)
}

/// The orientation tag of a TIFF structure's first directory.
fn orientation_in(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let u32_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = usize::from(u16_at(directory)?);
    let entry = |number: usize| directory.checked_add(2 + 12 * number);
    let found = (0..entries).find_map(|number| entry(number).filter(|at| u16_at(*at) == Some(ORIENTATION)))?;
    u16_at(found.checked_add(8)?)
}

const ORIENTATION: u16 = 0x0112;

/// An Exif segment with the orientation alone.
fn exif_with(orientation: u16) -> Vec<u8> {
    let mut segment = vec![0xff, EXIF, 0, 34];
    segment.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01");
    segment.extend(ORIENTATION.to_be_bytes());
    segment.extend([0, 3, 0, 0, 0, 1]);
    segment.extend(orientation.to_be_bytes());
    segment.extend([0; 6]);
    segment
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;

    fn segment(marker: u8, contents: &[u8]) -> Vec<u8> {
        let length = u16::try_from(contents.len() + 2).unwrap();
        [&[0xff, marker], &length.to_be_bytes()[..], contents].concat()
    }

    /// A picture of 3 by 2 pixels in two scans, with `canary` wherever a camera could leave it.
    pub(in crate::http::api) fn photo(orientation: u8, canary: &[u8]) -> Bytes {
        let exif = [
            b"Exif\0\0II\x2a\0\x08\0\0\0\x02\0",
            &[0; 12][..],
            b"\x12\x01\x03\0\x01\0\0\0",
        ]
        .concat();
        let exif = [&exif[..], &[orientation, 0, 0, 0, 0, 0, 0, 0], canary].concat();
        let parts = [
            vec![0xff, SOI],
            segment(JFIF, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            segment(EXIF, &exif),
            segment(EXIF, &[b"http://ns.adobe.com/xap/1.0/\0", canary].concat()),
            segment(ICC, b"ICC_PROFILE\0\x01\x01colours"),
            segment(ICC, &[b"MPF\0", canary].concat()),
            segment(0xed, canary),
            segment(COMMENT, canary),
            segment(0xc0, &[8, 0, 2, 0, 3, 1, 1, 0x11, 0]),
            vec![0xff, 0xff],
            segment(SOS, &[1, 1, 0, 0, 0x3f, 0]),
            b"pixels\xff\x00\xff\xd0more".to_vec(),
            segment(COMMENT, canary),
            segment(SOS, &[1, 1, 0, 0, 0x3f, 0]),
            b"finer".to_vec(),
            vec![0xff, EOI],
            canary.to_vec(),
        ];
        parts.concat().into()
    }

    #[test]
    fn pixels_colours_and_the_way_up_stay() {
        let jpeg = stripped(&photo(6, b"secret")).unwrap();
        let holds = |needle: &[u8]| jpeg.bytes.windows(needle.len()).any(|window| window == needle);
        for needed in [
            &b"JFIF"[..],
            b"ICC_PROFILE",
            b"pixels\xff\x00\xff\xd0more",
            b"finer\xff\xd9",
        ] {
            assert!(holds(needed), "{needed:?}");
        }
        assert!(!holds(b"secret") && !holds(b"MPF"));
        assert!(jpeg.turned);
        assert_eq!(
            stripped(&jpeg.bytes).map(|again| (again.bytes, again.turned)),
            Some((jpeg.bytes, true))
        );
    }

    #[test]
    fn a_picture_that_was_held_level_gets_no_exif() {
        let jpeg = stripped(&photo(1, b"secret")).unwrap();
        assert!(!jpeg.turned);
        assert!(!jpeg.bytes.windows(4).any(|window| window == b"Exif"));
    }

    #[test]
    fn a_picture_without_an_end_is_none() {
        let whole = photo(1, b"");
        for cut in 0..whole.len() {
            assert!(stripped(&whole[..cut]).is_none(), "{cut}");
        }
    }
}
