//! A bucket's rules, by Backblaze's native API and by S3's; and what there is only where there are versions.

use std::{io::Write as _, time::Duration};

use skep_storage::{
    Admin, Client, CorsRule, Difference, LifecycleRule, ListedVersion, StoreError, Upload, cors_differences,
};

use crate::{
    peers,
    support::{Store, now},
};

fn pending() -> LifecycleRule {
    LifecycleRule { prefix: "uploads/".to_owned(), days_to_hide: Some(7), days_to_delete: Some(1) }
}

fn logs() -> LifecycleRule {
    LifecycleRule { prefix: "logs/".to_owned(), days_to_hide: Some(30), days_to_delete: None }
}

fn page(origin: &str) -> CorsRule {
    CorsRule::for_files(vec![origin.to_owned()], vec!["PUT".to_owned(), "GET".to_owned()])
}

async fn pages(admin: &Admin) -> Vec<CorsRule> {
    admin.cors().await.unwrap().into_iter().map(|found| found.rule).collect()
}

async fn rules_are_set_and_those_of_others_kept(admin: &Admin) {
    assert_eq!(admin.lifecycle().await.unwrap(), [logs()]);
    admin.set_lifecycle(&[pending()]).await.unwrap();
    assert_eq!(admin.lifecycle().await.unwrap(), [logs(), pending()]);
    let other = LifecycleRule { days_to_hide: Some(3), ..pending() };
    admin.set_lifecycle(std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(admin.lifecycle().await.unwrap(), [logs(), other]);
    assert_eq!(pages(admin).await, []);
    admin.set_cors("shop-live", &[page("https://a.example"), page("https://b.example")]).await.unwrap();
    assert_eq!(pages(admin).await, [page("https://a.example"), page("https://b.example")]);
    let differences =
        cors_differences("shop-live", &[page("https://b.example")], &admin.cors().await.unwrap());
    assert_eq!(
        differences,
        [Difference::Extra(page("https://a.example"))],
        "what was set from here is known"
    );
    admin.set_cors("shop-live", &[page("https://c.example")]).await.unwrap();
    assert_eq!(pages(admin).await, [page("https://c.example")]);
    // Another target shares the bucket.
    admin.set_cors("shop-staging", &[page("https://d.example")]).await.unwrap();
    admin.set_cors("shop-live", &[page("https://a.example")]).await.unwrap();
    assert_eq!(pages(admin).await, [page("https://d.example"), page("https://a.example")]);
}

#[tokio::test]
async fn case_51_on_backblaze_rules_are_set_and_those_of_others_kept() {
    let Some(peer) = peers::backblaze() else { return };
    rules_are_set_and_those_of_others_kept(&peer.admin("keyId", "key", "honeyDueExample")).await;
}

#[tokio::test]
async fn by_the_api_of_s3_rules_are_set_and_those_of_others_kept() {
    let Some((_peer, client)) = peers::moto().await else { return };
    let admin = Admin::s3(client);
    assert_eq!(admin.lifecycle().await.unwrap(), []);
    admin.set_lifecycle(&[logs()]).await.unwrap();
    rules_are_set_and_those_of_others_kept(&admin).await;
}

/// Garage, of which it is known: it keeps what hides, and nothing of versions, because it has none.
#[tokio::test]
async fn by_the_api_of_s3_a_store_without_versions_has_rules_too() {
    let store = Store::start().await;
    if !store.is_foreign() {
        drop(writeln!(std::io::stderr(), "not run: SKEP_TEST_S3 names no store, and s3s-fs has no rules"));
        return;
    }
    let admin = Admin::s3(store.own_client("photos"));
    let days = LifecycleRule { days_to_delete: None, ..pending() };
    assert_eq!(admin.lifecycle().await.unwrap(), []);
    admin.set_lifecycle(&[logs()]).await.unwrap();
    admin.set_lifecycle(std::slice::from_ref(&days)).await.unwrap();
    assert_eq!(admin.lifecycle().await.unwrap(), [logs(), days]);
    assert_eq!(pages(&admin).await, []);
    admin.set_cors("shop-live", &[page("https://a.example")]).await.unwrap();
    assert_eq!(pages(&admin).await, [page("https://a.example")]);
}

/// A rule for some objects under the prefix is not the rule for all of them, and nobody's to take away.
#[tokio::test]
async fn by_the_api_of_s3_a_rule_that_says_more_stays_and_does_not_count_as_ours() {
    let Some((_peer, client)) = peers::moto().await else { return };
    let tagged = "<Rule><ID>theirs</ID><Filter><And><Prefix>uploads/</Prefix><Tag><Key>keep</Key><Value>no</Value></Tag></And></Filter><Status>Enabled</Status><Expiration><Days>7</Days></Expiration></Rule>";
    let document = format!(
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{tagged}</LifecycleConfiguration>"
    );
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = client.bucket().url().join("?lifecycle").unwrap();
    assert!(http.put(url.clone()).body(document).send().await.unwrap().status().is_success());
    let admin = Admin::s3(client);
    assert_eq!(admin.lifecycle().await.unwrap(), []);
    admin.set_lifecycle(&[pending()]).await.unwrap();
    admin.set_lifecycle(&[pending()]).await.unwrap();
    assert_eq!(admin.lifecycle().await.unwrap(), [pending()]);
    let kept = http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(kept.contains("<ID>theirs</ID>") && kept.matches("<Rule>").count() == 2, "{kept}");
}

/// Each reads, changes and writes back the whole list: without the revision one would take the other's rule away.
#[tokio::test(flavor = "multi_thread")]
async fn case_51_of_many_who_change_a_bucket_at_once_none_takes_the_others_rules_away() {
    let Some(peer) = peers::backblaze() else { return };
    let mut all = tokio::task::JoinSet::new();
    for number in 0..4 {
        let admin = peer.admin("keyId", "key", "honeyDueExample");
        let rule = LifecycleRule { prefix: format!("p{number}/"), ..pending() };
        all.spawn(async move { admin.set_lifecycle(&[rule]).await });
    }
    for set in all.join_all().await {
        set.unwrap();
    }
    let found = peer.admin("keyId", "key", "honeyDueExample").lifecycle().await.unwrap();
    let mut prefixes: Vec<&str> = found.iter().map(|rule| rule.prefix.as_str()).collect();
    prefixes.sort_unstable();
    assert_eq!(prefixes, ["logs/", "p0/", "p1/", "p2/", "p3/"]);
}

#[tokio::test]
async fn case_52_a_key_that_may_not_is_told_as_that() {
    let Some(peer) = peers::backblaze() else { return };
    let reader = peer.admin("readerId", "reader", "honeyDueExample");
    assert_eq!(reader.lifecycle().await.unwrap(), [logs()]);
    let refused = reader.set_lifecycle(&[pending()]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused { what: "b2_update_bucket", status: 401, .. }),
        "{refused:?}"
    );
    assert_eq!(peer.admin("keyId", "key", "honeyDueExample").lifecycle().await.unwrap(), [logs()]);
    let wrong = peer.admin("keyId", "another", "honeyDueExample").lifecycle().await.unwrap_err();
    assert!(
        matches!(&wrong, StoreError::Refused { what: "b2_authorize_account", status: 401, .. }),
        "{wrong:?}"
    );
    let elsewhere = peer.admin("keyId", "key", "honeydueexample").lifecycle().await.unwrap_err();
    assert!(elsewhere.to_string().contains("no bucket named `honeydueexample`"), "{elsewhere}");
    for error in [refused, wrong, elsewhere] {
        assert!(!format!("{error} {error:?}").contains("masterKey"), "{error:?}");
    }
}

async fn put(client: &Client, key: &str, bytes: &[u8]) {
    let upload = Upload::new(key, "image/png", bytes.len() as u64).unwrap();
    let credentials = skep_storage::Credentials::new("AKIAEXAMPLE", "open/sesame");
    let signer = skep_storage::Signer::new(client.bucket().clone(), credentials);
    let skep_storage::Presigned::Put { url, .. } = signer.put(&upload, now(), Duration::from_secs(60)) else {
        unreachable!("a URL was asked for");
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = http.put(url).header("content-type", "image/png").body(bytes.to_vec()).send().await.unwrap();
    assert!(sent.status().is_success(), "{key}: {}", sent.status());
}

#[tokio::test]
async fn case_46_what_is_deleted_by_name_alone_is_only_hidden_and_here_every_version_goes() {
    let Some((_peer, client)) = peers::moto().await else { return };
    for bytes in [&b"one"[..], b"two", b"three"] {
        put(&client, "uploads/1/a", bytes).await;
    }
    put(&client, "uploads/10/a", b"another's").await;
    let versions = async |prefix: &str| client.versions(prefix, None).await.unwrap().versions;
    let all = versions("uploads/1/").await;
    assert_eq!(all.len(), 3);
    let by_name = ListedVersion { version: None, ..all[0].clone() };
    assert_eq!(client.delete(&[by_name]).await.unwrap(), []);
    assert_eq!(client.look("uploads/1/a", 8).await.unwrap(), None, "it is hidden");
    let hidden = versions("uploads/1/").await;
    assert_eq!(
        (hidden.len(), hidden.iter().filter(|one| one.is_delete_marker).count()),
        (4, 1),
        "and all of it is there"
    );
    let (gone, kept) = client.delete_objects(&["uploads/1/a".to_owned()]).await.unwrap();
    assert_eq!((gone, kept), (4, Vec::new()));
    assert_eq!(versions("uploads/1/").await, []);
    assert_eq!(versions("uploads/10/").await.len(), 1);
}

#[tokio::test]
async fn a_folder_of_many_versions_goes_page_by_page() {
    let Some((_peer, client)) = peers::moto().await else { return };
    let client = &client;
    for some in (0..340).collect::<Vec<_>>().chunks(20) {
        for bytes in [&b"one"[..], b"two", b"three"] {
            let each = some.iter().map(|number| format!("files/1/{number:03}"));
            let sent = each.map(|key| async move { put(client, &key, bytes).await });
            futures::future::join_all(sent).await;
        }
    }
    let page = client.versions("files/1/", None).await.unwrap();
    assert!(page.next.is_some() && page.versions.len() == 1000, "{}", page.versions.len());
    let mut gone = 0;
    assert_eq!(client.delete_folder("files/1/", |some| gone += some).await.unwrap(), Vec::new());
    assert_eq!(gone, 1020);
    assert_eq!(client.versions("files/1/", None).await.unwrap().versions, []);
}

#[tokio::test]
async fn count_by_s3_api_covers_versions_and_uploads() {
    let Some((_peer, client)) = peers::moto().await else { return };
    put(&client, "uploads/a", b"first").await;
    put(&client, "uploads/a", b"second").await;
    put(&client, "uploads/b", b"hidden").await;
    let hidden = ListedVersion {
        key: "uploads/b".to_owned(),
        version: None,
        size: 0,
        is_delete_marker: false,
        last_modified: None,
    };
    assert_eq!(client.delete(&[hidden]).await.unwrap(), []);
    put(&client, "uploads/c", b"c").await;
    put(&client, "files/x", b"kept").await;
    let endpoint = client.bucket().url().join("/").unwrap();
    let bucket =
        rusty_s3::Bucket::new(endpoint, rusty_s3::UrlStyle::Path, "honeyDueExample", "us-east-1").unwrap();
    let credentials = rusty_s3::Credentials::new("AKIAEXAMPLE", "open/sesame");
    let begin = rusty_s3::S3Action::sign(
        &bucket.create_multipart_upload(Some(&credentials), "uploads/large"),
        Duration::from_secs(60),
    );
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(http.post(begin).send().await.unwrap().status().is_success());
    let admin = Admin::s3(client);
    let rule = |hide, delete| LifecycleRule {
        prefix: "uploads/".to_owned(),
        days_to_hide: hide,
        days_to_delete: delete,
    };
    let count =
        async |rule: LifecycleRule| admin.expiring(&[rule], jiff::Timestamp::now(), |_| ()).await.unwrap();
    let found = count(rule(Some(1), Some(1))).await;
    assert_eq!((found.current, found.noncurrent, found.unfinished), (2, 2, 1), "{found:?}");
    assert!(found.oldest.is_some() && found.sample.contains(&"uploads/a".to_owned()), "{found:?}");
    assert_eq!(count(rule(Some(7), Some(1))).await.noncurrent, 2);
    // To moto every upload in parts was begun in 2010.
    assert_eq!(count(rule(Some(7), Some(2))).await.noncurrent, 0, "nothing is so old tomorrow");
    let everything = LifecycleRule { prefix: String::new(), ..rule(Some(1), None) };
    assert_eq!(count(everything).await.current, 3);
}

#[tokio::test]
async fn interrupted_copy_by_s3_api_resumes() {
    let Some((_peer, client)) = peers::moto().await else { return };
    for number in 0..20 {
        put(&client, &format!("uploads/{number:02}"), format!("photo {number}").as_bytes()).await;
    }
    put(&client, "files/19", b"of somebody else").await;
    put(&client, "files/18", b"photo 18").await;
    let admin = Admin::s3(client.clone());
    let (stop, mut seen) = (tokio::sync::Notify::new(), 0);
    tokio::select! {
        ended = admin.copy_prefix("uploads/", "files/", false, |_, _| { seen += 1; if seen == 5 { stop.notify_one(); } }) => panic!("{ended:?}"),
        () = stop.notified() => {}
    }
    let report = admin.copy_prefix("uploads/", "files/", false, |_, _| ()).await.unwrap();
    assert!(report.there >= 4 && report.copied > 0 && report.copied + report.there == 19, "{report:?}");
    assert_eq!((report.conflicts, report.failed), (vec!["uploads/19".to_owned()], Vec::new()));
    let copy = client.look("files/07", 100).await.unwrap().expect("it is there");
    assert_eq!(copy.first, b"photo 7");
    assert!(client.look("uploads/07", 1).await.unwrap().is_some(), "nothing is deleted");
    assert_eq!(client.look("files/19", 100).await.unwrap().expect("there").first, b"of somebody else");
}
