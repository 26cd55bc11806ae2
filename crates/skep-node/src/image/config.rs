//! What a container takes from its image's configuration.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

/// The parts of an OCI image configuration's `config` that matter at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: Option<String>,
    /// `user`, `user:group`, by name or number.
    pub(crate) user: Option<String>,
    pub(crate) stop_signal: Option<Signal>,
}

impl ImageConfig {
    /// Reads the image's configuration; what is absent or odd counts as not set.
    pub(crate) fn read(image: &Value) -> Self {
        let config = &image["config"];
        let words = |name: &str| -> Vec<String> {
            config[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            entrypoint: words("Entrypoint"),
            command: words("Cmd"),
            env: words("Env")
                .iter()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            working_dir: text("WorkingDir"),
            user: text("User"),
            stop_signal: text("StopSignal").and_then(|name| signal(&name)),
        }
    }
}

/// `SIGTERM`, `TERM` or `15`.
fn signal(name: &str) -> Option<Signal> {
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    let name = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_read_with_gaps() {
        let read = ImageConfig::read(&json!({"config": {
            "Entrypoint": ["/bin/app"], "Env": ["PATH=/bin", "EMPTY=", "WITH=a=b"], "User": "", "StopSignal": "QUIT"
        }}));
        assert_eq!(read.entrypoint, ["/bin/app"]);
        assert_eq!(read.env["WITH"], "a=b");
        assert_eq!(read.env["EMPTY"], "");
        assert_eq!(read.user, None);
        assert_eq!(read.stop_signal, Some(Signal::SIGQUIT));
        assert_eq!(signal("15"), Some(Signal::SIGTERM));
        assert_eq!(ImageConfig::read(&json!({})), ImageConfig::default());
    }
}
