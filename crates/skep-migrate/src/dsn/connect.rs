//! A [`Dsn`] → sqlx's options.

use sqlx::postgres::PgConnectOptions;

use super::url::encode;
use super::{Dsn, DsnError};

impl Dsn {
    /// The options of one plain connection. What the DSN leaves open comes from libpq's `PG…` variables and `.pgpass`.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, DsnError> {
        // Through a URL, because only its parser looks the final host up in .pgpass and takes raw `options`.
        let port = self.port.map(|port| port.to_string());
        let named = [
            ("host", self.host.as_deref()),
            ("port", port.as_deref()),
            ("user", self.user.as_deref()),
            ("password", self.password.as_deref()),
            ("dbname", self.database.as_deref()),
        ];
        let named = named.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let client = self.client.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let query: Vec<String> =
            named.chain(client).map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let options: PgConnectOptions =
            format!("postgres:///?{}", query.join("&")).parse().map_err(|error: sqlx::Error| {
                let why = match error {
                    sqlx::Error::Configuration(why) => why.to_string(),
                    other => other.to_string(),
                };
                DsnError::part("parameters", why)
            })?;
        let settings = self.settings.iter().filter(|(key, _)| key != "application_name");
        let name = self.settings.iter().find(|(key, _)| key == "application_name");
        let mut options = options.application_name(name.map_or("skep-migrate", |(_, value)| value));
        for (key, value) in settings.filter(|(key, _)| !sent_by_sqlx(key)) {
            options = options.options([(key, value)]);
        }
        Ok(options)
    }

    /// Settings that sqlx sends itself at the start of a session, so that they must be set again afterwards.
    pub(crate) fn late_settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings
            .iter()
            .filter(|(key, _)| sent_by_sqlx(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn sent_by_sqlx(key: &str) -> bool {
    ["timezone", "datestyle"].iter().any(|sent| key.eq_ignore_ascii_case(sent))
}
