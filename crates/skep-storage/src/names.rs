//! The names of rules for pages: several apps, and several targets of one, may share a bucket, and each owns what has its name.

use ring::digest::{SHA256, digest};

/// What they begin with.
const OURS: &str = "skep-pages";
/// Backblaze wants 6 to 50 letters, digits and hyphens.
const LONGEST: usize = 50;
/// How many digits of its hash stand for the rest of an owner whose name is too long.
const DIGITS: usize = 8;

/// The name of one of an owner's rules.
pub(crate) fn name(owner: &str, number: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let room = LONGEST - OURS.len() - "--99".len();
    let mut short: String = owner.chars().map(plain).collect();
    if short != owner || short.len() > room {
        let hash = hex::encode(digest(&SHA256, owner.as_bytes()));
        short.truncate(room - DIGITS - 1);
        short = format!("{short}-{}", &hash[..DIGITS]);
    }
    format!("{OURS}-{short}-{number}")
}

/// Whether a rule's name is one of an owner's.
pub(crate) fn is_of(owner: &str, found: &str) -> bool {
    let first = name(owner, 0);
    let begin = first.trim_end_matches('0');
    found
        .strip_prefix(begin)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_backblaze_takes_them_and_each_owner_s_own() {
        let long = "customer-portal-backend-api-production";
        let owners = [
            "a",
            "shop-production",
            &"x".repeat(100),
            "é ü/",
            "e-u-",
            &format!("{long}-eu"),
            &format!("{long}-us"),
        ];
        for owner in owners {
            for number in [0, 99] {
                let name = name(owner, number);
                assert!((6..=LONGEST).contains(&name.len()), "{name}");
                assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
                let of: Vec<&str> = owners.into_iter().filter(|owner| is_of(owner, &name)).collect();
                assert_eq!(of, [owner], "{name}");
            }
        }
        assert!(!is_of("shop", &name("shop-staging", 0)) && !is_of("shop", "skep-pages-shop-"));
    }
}
