//! How layers are packed. Fixed settings: another level or thread count would be another digest.

use std::io::{self, Write};

use skep_registry::MediaType;

/// A layer's compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Fast and small; containerd 1.5, Podman and hive read it.
    #[default]
    Zstd,
    /// Read by everything.
    Gzip,
}

const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 6;
/// zstd's output depends on the size of its jobs and on there being workers, not on how many.
const ZSTD_JOB: u32 = 4 << 20;
const ZSTD_WORKERS: u32 = 2;

impl Compression {
    /// The media type of a layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Zstd => MediaType::LAYER_ZSTD,
            Self::Gzip => MediaType::LAYER_GZIP,
        }
    }

    /// A name with the settings in it: layers of other settings are other layers.
    pub(crate) fn settings(self) -> String {
        match self {
            Self::Zstd => format!("zstd-{ZSTD_LEVEL}-{ZSTD_JOB}"),
            Self::Gzip => format!("gzip-{GZIP_LEVEL}"),
        }
    }

    pub(crate) fn pack<W: Write>(self, into: W) -> io::Result<Packer<W>> {
        Ok(match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(into, ZSTD_LEVEL)?;
                encoder.multithread(ZSTD_WORKERS)?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                Packer::Zstd(encoder)
            }
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Packer::Gzip(flate2::write::GzEncoder::new(into, level))
            }
        })
    }
}

/// Writes compressed.
pub(crate) enum Packer<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Gzip(flate2::write::GzEncoder<W>),
}

impl<W: Write> Packer<W> {
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}
