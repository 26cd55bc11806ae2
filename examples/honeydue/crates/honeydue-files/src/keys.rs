//! Where objects lie: `uploads/7/<id>` until they are attached, `files/7/<id>` then. The bucket's lifecycle rule is for the first folder
//! alone. Nothing of a client's text is in a key, and a person's folder ends in a slash: `uploads/1` is the beginning of `uploads/10`.

use uuid::Uuid;

/// What waits to be attached.
pub const PENDING: &str = "uploads/";
/// What is kept.
pub const KEPT: &str = "files/";
/// A key that no object has, to ask whether the store answers.
pub(crate) const NOBODYS: &str = "uploads/nobody";

/// Where a client sends an upload.
#[must_use]
pub fn pending(user: i64, id: Uuid) -> String {
    format!("{PENDING}{user}/{id}")
}

/// Where it stays once it is attached.
#[must_use]
pub fn kept(user: i64, id: Uuid) -> String {
    format!("{KEPT}{user}/{id}")
}

/// Everything of one person.
#[must_use]
pub fn folders(user: i64) -> [String; 2] {
    [format!("{PENDING}{user}/"), format!("{KEPT}{user}/")]
}

/// Whose object a key names, and which; `None` for what nobody here has made.
#[must_use]
pub fn read(key: &str) -> Option<(i64, Uuid)> {
    let rest = key.strip_prefix(PENDING).or_else(|| key.strip_prefix(KEPT))?;
    let (user, id) = rest.split_once('/')?;
    Some((user.parse().ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_53_a_person_s_folder_is_not_the_beginning_of_another_s() {
        let id = Uuid::nil();
        for folder in folders(1) {
            assert!(!pending(10, id).starts_with(&folder) && !kept(10, id).starts_with(&folder), "{folder}");
        }
        assert!(pending(1, id).starts_with(&folders(1)[0]) && kept(1, id).starts_with(&folders(1)[1]));
    }

    #[test]
    fn keys_are_read_as_they_are_made_and_others_are_not() {
        let id = Uuid::from_u128(7);
        assert_eq!(read(&pending(3, id)), Some((3, id)));
        assert_eq!(read(&kept(3, id)), Some((3, id)));
        for key in
            ["", "uploads/", "uploads/3", "uploads/x/00000000-0000-0000-0000-000000000007", "other/3/7"]
        {
            assert_eq!(read(key), None, "{key}");
        }
    }
}
