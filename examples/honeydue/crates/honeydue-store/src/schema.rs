//! The check at start: a process of this build runs only on a schema that is at least as new as the one it was written for.

use skep_migrate::SchemaError;

use crate::Store;

/// The newest file in `migrations/` when this was built, such as `20260119083000`.
pub const NEWEST_MIGRATION: i64 = parse(include_str!(concat!(env!("OUT_DIR"), "/newest_migration")));

impl Store {
    /// Answers the database's schema version when it is [`NEWEST_MIGRATION`] or newer.
    ///
    /// # Errors
    /// When the schema is missing, half applied or older, or cannot be read: see [`SchemaError::is_final`].
    pub async fn require_schema(&self) -> Result<i64, SchemaError> {
        let mut connection = self.pool.acquire().await.map_err(SchemaError::Database)?;
        skep_migrate::require_schema_applied(&mut connection, NEWEST_MIGRATION).await
    }
}

/// Decimal digits to a number, at compile time. The build script wrote them, so nothing else can be there.
const fn parse(digits: &str) -> i64 {
    let bytes = digits.as_bytes();
    let mut number = 0;
    let mut at = 0;
    while at < bytes.len() {
        number = number * 10 + (bytes[at] - b'0') as i64;
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_migration_is_the_one_in_the_folder() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let newest = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .max()
            .unwrap();
        assert!(newest.starts_with(&format!("{NEWEST_MIGRATION}_")), "{newest}");
    }
}
