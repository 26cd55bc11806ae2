//! The query of a request's URL.

use crate::decode::FieldValidation;
use crate::status::Status;

/// Decoded pairs, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name, true), decoded(value, true))
        };
        Self(pairs.map(pair).collect())
    }

    /// The value of that name; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!("invalid value for {name}: \"{text}\" is no whole number"))
            }),
        }
    }

    /// A resourceVersion.
    pub(super) fn version(&self) -> Result<Option<u64>, Status> {
        self.number("resourceVersion").map_err(|_| {
            Status::bad_request(format!(
                "resourceVersion: Invalid value: \"{}\": strconv.ParseUint: parsing: invalid syntax",
                self.get("resourceVersion")
            ))
        })
    }

    /// `dryRun=All`.
    pub(super) fn dry_run(&self) -> Result<bool, Status> {
        match self.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Status::bad_request(format!(
                "invalid value for dryRun: \"{other}\": the only one is All"
            ))),
        }
    }

    /// `fieldValidation`; warns when nothing is said, as Kubernetes does.
    pub(super) fn field_validation(&self) -> Result<FieldValidation, Status> {
        match self.get("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Strict" => Ok(FieldValidation::Strict),
            "Ignore" => Ok(FieldValidation::Ignore),
            other => Err(Status::bad_request(format!(
                "invalid value for fieldValidation: \"{other}\": supported values: Ignore, Warn, Strict"
            ))),
        }
    }
}

/// Percent-decoding; `plus`: `+` is a space.
pub(super) fn decoded(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn is_decoded() {
        let query = Query::parse(Some("labelSelector=app%3Dweb%2Ctier+in+%28a%29&watch=1&odd=%zz&empty"));
        assert_eq!(query.get("labelSelector"), "app=web,tier in (a)");
        assert!(query.is("watch"));
        assert_eq!(query.get("odd"), "%zz");
        assert_eq!(query.get("empty"), "");
    }
}
