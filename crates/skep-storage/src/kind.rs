//! What a file is, by its first bytes: a client's word for it is a claim, and so is the type that the store has noted.

/// How many of its first bytes tell what a file is.
pub const FIRST_BYTES: u64 = 4096;

/// A kind of file that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `image/jpeg`.
    Jpeg,
    /// `image/png`.
    Png,
    /// `image/webp`.
    Webp,
    /// `image/heic` and `image/heif`: one family, which phones name either way.
    Heif,
    /// `application/pdf`.
    Pdf,
}

impl FileKind {
    /// The kind that begins like this.
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', _, _, _, _, b'I', b'H', b'D', b'R', ..] => {
                Some(Self::Png)
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            _ if is_heif(first) => Some(Self::Heif),
            _ => None,
        }
    }

    /// Whether a content type names this kind.
    pub fn is_named(self, content_type: &str) -> bool {
        match self {
            Self::Jpeg => content_type == "image/jpeg",
            Self::Png => content_type == "image/png",
            Self::Webp => content_type == "image/webp",
            Self::Heif => matches!(content_type, "image/heic" | "image/heif"),
            Self::Pdf => content_type == "application/pdf",
        }
    }
}

/// ISO's base media format, in one of the brands that hold HEVC pictures. AVIF has the same shape and other decoders.
fn is_heif(first: &[u8]) -> bool {
    let [a, b, c, d, b'f', b't', b'y', b'p', ..] = first else { return false };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if !(16..=512).contains(&length) || !length.is_multiple_of(4) || first.len() < length {
        return false;
    }
    // The major brand, its version, and those that it is compatible with.
    let compatible = first.get(16..length).unwrap_or_default().chunks_exact(4);
    let brands = || first.get(8..12).into_iter().chain(compatible.clone());
    let is_hevc = |brand: &[u8]| {
        matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1")
    };
    brands().any(is_hevc) && !brands().any(|brand| matches!(brand, b"avif" | b"avis"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ftyp(length: u32, brands: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(b"ftyp");
        bytes.extend(brands[0]);
        bytes.extend([0; 4]);
        brands[1..].iter().for_each(|brand| bytes.extend(*brand));
        bytes.extend(b"rest");
        bytes
    }

    #[test]
    fn each_kind_by_its_first_bytes_and_nothing_else() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0";
        let heic = ftyp(24, &[b"heic", b"mif1", b"heic"]);
        for (bytes, kind) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], FileKind::Jpeg),
            (png, FileKind::Png),
            (b"RIFF\x24\0\0\0WEBPVP8 ", FileKind::Webp),
            (b"%PDF-1.7\n", FileKind::Pdf),
            (&heic, FileKind::Heif),
            (&ftyp(24, &[b"mif1", b"heis", b"miaf"]), FileKind::Heif),
        ] {
            assert_eq!(FileKind::of(bytes), Some(kind));
        }
        for bytes in [
            &b""[..],
            b"\xff\xd8",
            b"\x89PNG\r\n\x1a\n<html>",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"GIF89a",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
            b"<!doctype html>",
            b" %PDF-1.7",
            b"PK\x03\x04",
            b"MZ\x90\0",
        ] {
            assert_eq!(FileKind::of(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_box_that_is_cut_lies_or_says_avif_is_no_heif() {
        assert_eq!(FileKind::of(&ftyp(24, &[b"mif1", b"avif", b"miaf"])), None);
        assert_eq!(FileKind::of(&ftyp(24, &[b"avif", b"mif1", b"heic"])), None);
        assert_eq!(FileKind::of(&ftyp(24, &[b"mp42", b"isom", b"mp41"])), None);
        let whole = ftyp(24, &[b"heic", b"mif1", b"heic"]);
        for end in 0..24 {
            assert_eq!(FileKind::of(&whole[..end]), None, "cut after {end}");
        }
        for length in [0, 8, 12, 15, 18, 516, u32::MAX] {
            assert_eq!(FileKind::of(&ftyp(length, &[b"heic", b"mif1", b"heic"])), None, "{length}");
        }
    }

    #[test]
    fn heic_and_heif_are_one_family_and_no_other_types_are_mixed() {
        assert!(FileKind::Heif.is_named("image/heic") && FileKind::Heif.is_named("image/heif"));
        assert!(!FileKind::Jpeg.is_named("image/png") && !FileKind::Pdf.is_named("image/jpeg"));
    }
}
