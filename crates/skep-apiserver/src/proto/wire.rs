//! Protobuf's wire format: numbered fields of bytes or numbers.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A number of any width, sign-extended to 64 bits by its writer; the bits of a double.
    Number(u64),
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Content<'_>), &'static str>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<(u64, Content<'a>), &'static str> {
    let tag = varint(rest)?;
    let content = match tag & 7 {
        0 => Content::Number(varint(rest)?),
        1 => Content::Number(fixed(rest, 8)?),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| "a length is too large")?;
            Content::Bytes(take(rest, length)?)
        }
        5 => Content::Number(fixed(rest, 4)?),
        _ => return Err("a field is of an unknown wire type"),
    };
    Ok((tag >> 3, content))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (taken, left) = rest.split_at_checked(length).ok_or("it ends in the middle of a field")?;
    *rest = left;
    Ok(taken)
}

fn fixed(rest: &mut &[u8], length: usize) -> Result<u64, &'static str> {
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(take(rest, length)?);
    Ok(u64::from_le_bytes(bytes))
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number is too long")
}
