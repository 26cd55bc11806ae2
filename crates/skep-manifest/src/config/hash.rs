//! The eight characters that name a version.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Eight hexadecimal characters of HMAC-SHA256 over what the set holds: its type, and each key with its bytes, whether they
/// were written as text or as base64.
pub(crate) fn content(object: &Value, salt: &[u8]) -> String {
    let mut message = Vec::new();
    let mut part = |bytes: &[u8]| {
        message.extend((bytes.len() as u64).to_be_bytes());
        message.extend(bytes);
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    part(text("kind").as_bytes());
    part(text("type").as_bytes());
    for (key, bytes) in bytes_by_key(object) {
        part(key.as_bytes());
        part(&bytes);
    }
    hex(&hmac_sha256(salt, &message)[..4])
}

/// Whether a name could end so because of [`content`].
pub(crate) fn is_version(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn bytes_by_key(object: &Value) -> BTreeMap<&str, Vec<u8>> {
    let is_secret = object.get("kind").and_then(Value::as_str) == Some("Secret");
    let mut all = BTreeMap::new();
    // `stringData` comes last: Kubernetes writes it over `data`.
    for (field, encoded) in [("data", is_secret), ("binaryData", true), ("stringData", false)] {
        let entries = object.get(field).and_then(Value::as_object).into_iter().flatten();
        for (key, value) in entries {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let bytes = match encoded {
                true => STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes()),
                false => text.into_bytes(),
            };
            all.insert(key.as_str(), bytes);
        }
    }
    all
}

/// RFC 2104 with SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test cases 2 and 6 of RFC 4231.
    #[test]
    fn hmac_as_the_rfc_has_it() {
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
