//! `notify`: whom the end of each release is told to.

use skep_model::{Notify, NotifyUrl};

use crate::{
    error::Fault,
    fields::Field,
    verify::{is_loopback, url},
};

/// The keys of `notify`.
pub(crate) const KEYS: &[&str] = &["url", "url-env", "secret-env", "template"];

/// `https://…`, or `{ url-env: CHAT_WEBHOOK, template: '{"text": "{{summary}}"}' }`.
pub(crate) fn notify(field: &Field<'_>) -> Result<Notify, Fault> {
    if field.text().is_ok() {
        return Ok(Notify { url: NotifyUrl::Plain(url(field)?), secret_env: None, template: None });
    }
    let fields = field.fields(KEYS)?;
    let url = match fields.read("url-env", |name| name.text())? {
        Some(name) => NotifyUrl::Env(name),
        None => {
            let what = "where it is posted, or `url-env`, the environment variable that holds it";
            NotifyUrl::Plain(url(&fields.need("url", what)?)?)
        }
    };
    let template = fields.read("template", |template| {
        let text = template.scalar()?;
        // Whatever stands in the places is escaped: the rest decides whether it is JSON.
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(template.bad(
                format!("is no JSON: {error}"),
                "such as `'{\"text\": \"{{summary}}\"}'`, which most chat services take",
            )),
        }
    })?;
    Ok(Notify { url, secret_env: fields.read("secret-env", |name| name.text())?, template })
}

/// Whether it goes to this machine, as far as skep.yaml tells.
pub(crate) fn is_local(notify: &Notify) -> bool {
    matches!(&notify.url, NotifyUrl::Plain(url) if is_loopback(url))
}
