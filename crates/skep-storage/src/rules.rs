//! What a bucket is told to do by itself: to delete what is old, and which pages may speak to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::is_of;

/// What happens to objects under a prefix as they grow old. It knows names and ages alone: not what an app still needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// `uploads/`. Empty: every object.
    pub prefix: String,
    /// Days from the upload until it is hidden; where there are no versions, deleted.
    pub days_to_hide: Option<u32>,
    /// Days from then until its bytes go.
    pub days_to_delete: Option<u32>,
}

/// `uploads/: hidden after 7 days, deleted 1 day later`
impl fmt::Display for LifecycleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |days: u32| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        let prefix = if self.prefix.is_empty() { "everything" } else { &self.prefix };
        match (self.days_to_hide, self.days_to_delete) {
            (Some(hide), Some(delete)) => {
                write!(f, "{prefix}: hidden after {}, deleted {} later", days(hide), days(delete))
            }
            (Some(hide), None) => write!(f, "{prefix}: hidden after {}, never deleted", days(hide)),
            (None, Some(delete)) => write!(f, "{prefix}: deleted {} after it was hidden", days(delete)),
            (None, None) => write!(f, "{prefix}: kept"),
        }
    }
}

impl LifecycleRule {
    /// Whether it ever touches an object under `prefix`.
    pub fn reaches(&self, prefix: &str) -> bool {
        self.days_to_hide.is_some() && (prefix.starts_with(&self.prefix) || self.prefix.starts_with(prefix))
    }
}

/// Which pages may send to a bucket and read from it. Browsers keep to it; nobody else does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    /// `https://example.com`, to the letter.
    pub origins: Vec<String>,
    /// `PUT`, `GET`, …
    pub methods: Vec<String>,
    /// Headers that they may send: `content-type`, without which no file is sent.
    pub headers: Vec<String>,
}

impl CorsRule {
    /// For pages that send and read files.
    pub fn for_files(origins: Vec<String>, methods: Vec<String>) -> Self {
        let headers = ["content-type", "x-amz-checksum-sha256"].map(str::to_owned).to_vec();
        Self { origins, methods, headers }
    }
}

/// A rule for pages as a bucket has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCors {
    /// Empty on a store that keeps none.
    pub name: String,
    /// What it says.
    pub rule: CorsRule,
}

/// `https://example.com: PUT, GET`
impl fmt::Display for CorsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origins.join(", "), self.methods.join(", "))
    }
}

/// What is wanted of the rules that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference<Rule> {
    /// There is none like it.
    Missing(Rule),
    /// There is one for the same, and it says something else.
    Other {
        /// What it says.
        found: Rule,
        /// What it should.
        wanted: Rule,
    },
    /// It was set from here, and is not wanted any more.
    Extra(Rule),
}

/// What differs from what is wanted. Rules for anything else are nobody's business.
pub fn lifecycle_differences(
    wanted: &[LifecycleRule],
    found: &[LifecycleRule],
) -> Vec<Difference<LifecycleRule>> {
    let of = |rule: &LifecycleRule| match found.iter().find(|one| one.prefix == rule.prefix) {
        None => Some(Difference::Missing(rule.clone())),
        Some(one) if one == rule => None,
        Some(one) => Some(Difference::Other { found: one.clone(), wanted: rule.clone() }),
    };
    wanted.iter().filter_map(of).collect()
}

/// What differs from what is wanted: a rule that lets all of it through will do, whoever has set it. One that `owner` has set and that lets
/// more through than is wanted is too much.
pub fn cors_differences(owner: &str, wanted: &[CorsRule], found: &[FoundCors]) -> Vec<Difference<CorsRule>> {
    let all: Vec<&CorsRule> = found.iter().map(|one| &one.rule).collect();
    let missing = wanted.iter().filter(|rule| !lets_through(&all, rule)).cloned().map(Difference::Missing);
    let of_ours = found.iter().filter(|one| is_of(owner, &one.name)).map(|one| &one.rule);
    let wanted: Vec<&CorsRule> = wanted.iter().collect();
    let extra = of_ours.filter(|rule| !lets_through(&wanted, rule)).cloned().map(Difference::Extra);
    missing.chain(extra).collect()
}

/// Whether some rules let through whatever another does.
fn lets_through(some: &[&CorsRule], rule: &CorsRule) -> bool {
    let lets_header = |one: &CorsRule, header: &String| {
        one.headers.iter().any(|other| other == "*" || other.eq_ignore_ascii_case(header))
    };
    let lets = |one: &CorsRule, origin: &String, method: &String| {
        one.origins.iter().any(|other| other == origin || other == "*")
            && one.methods.contains(method)
            && rule.headers.iter().all(|header| lets_header(one, header))
    };
    let mut pairs =
        rule.origins.iter().flat_map(|origin| rule.methods.iter().map(move |method| (origin, method)));
    pairs.all(|(origin, method)| some.iter().any(|one| lets(one, origin, method)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, hide: Option<u32>, delete: Option<u32>) -> LifecycleRule {
        LifecycleRule { prefix: prefix.to_owned(), days_to_hide: hide, days_to_delete: delete }
    }

    #[test]
    fn case_50_a_rule_that_reaches_what_is_kept_is_known() {
        assert!(!rule("uploads/", Some(7), Some(1)).reaches("files/"));
        for prefix in ["", "f", "files/", "files/7/"] {
            assert!(rule(prefix, Some(30), None).reaches("files/"), "{prefix:?}");
        }
        assert!(!rule("", None, Some(1)).reaches("files/"), "it deletes what somebody has hidden");
    }

    #[test]
    fn differences_are_told_by_prefix_and_in_words() {
        let wanted = [rule("uploads/", Some(7), Some(1))];
        assert_eq!(lifecycle_differences(&wanted, &wanted), []);
        assert_eq!(lifecycle_differences(&wanted, &[]), [Difference::Missing(wanted[0].clone())]);
        let other = rule("uploads/", Some(30), None);
        let differs = Difference::Other { found: other.clone(), wanted: wanted[0].clone() };
        assert_eq!(lifecycle_differences(&wanted, &[rule("logs/", Some(1), None), other.clone()]), [differs]);
        assert_eq!(wanted[0].to_string(), "uploads/: hidden after 7 days, deleted 1 day later");
        assert_eq!(other.to_string(), "uploads/: hidden after 30 days, never deleted");
    }

    #[test]
    fn an_origin_is_let_through_by_any_rule_that_names_it_and_each_method() {
        let cors = |origin: &str, methods: &[&str]| {
            let methods = methods.iter().map(|method| (*method).to_owned()).collect();
            CorsRule::for_files(vec![origin.to_owned()], methods)
        };
        let wanted = [cors("https://a.example", &["PUT", "GET"])];
        let differences = |found: &[CorsRule]| {
            let of_others = |rule: &CorsRule| FoundCors { name: String::new(), rule: rule.clone() };
            cors_differences("shop-live", &wanted, &found.iter().map(of_others).collect::<Vec<_>>())
        };
        assert_eq!(differences(&[cors("https://a.example", &["GET"]), cors("*", &["PUT"])]), []);
        assert_eq!(differences(&[cors("https://a.example", &["GET"])]).len(), 1);
        assert_eq!(differences(&[cors("https://a.example.evil", &["GET", "PUT"])]).len(), 1);
        let without_headers = CorsRule { headers: Vec::new(), ..cors("https://a.example", &["GET", "PUT"]) };
        assert_eq!(differences(&[without_headers]).len(), 1, "no file could be sent");
    }

    #[test]
    fn what_was_let_through_from_here_and_is_wanted_no_more_is_told_and_what_others_have_set_is_not() {
        let cors = |origins: &[&str]| {
            CorsRule::for_files(origins.iter().map(|&one| one.to_owned()).collect(), vec!["PUT".to_owned()])
        };
        let (old, new) =
            (cors(&["https://old.example", "https://new.example"]), cors(&["https://new.example"]));
        let found = |name: &str| [FoundCors { name: name.to_owned(), rule: old.clone() }];
        let extra = [Difference::Extra(old.clone())];
        for wanted in [std::slice::from_ref(&new), &[]] {
            assert_eq!(cors_differences("shop-live", wanted, &found("skep-pages-shop-live-0")), extra);
            let of_others = cors_differences("shop-live", wanted, &found("skep-pages-shop-staging-0"));
            assert_eq!(of_others, []);
        }
        assert_eq!(
            cors_differences("shop-live", std::slice::from_ref(&old), &found("skep-pages-shop-live-0")),
            []
        );
    }
}
