//! Who reads what, and as what.

use super::house::{House, PNG};

#[tokio::test(flavor = "multi_thread")]
async fn case_54_nobody_reads_another_s_file_nor_what_is_not_attached() {
    let house = House::open().await;
    let (ada, eve) = (house.person("ada").await, house.person("eve").await);
    let photo = ada.photo().await;
    let path = format!("/api/files/{photo}");
    assert_eq!(ada.get(&path).await.refusal(), (404, "not_found"), "not attached yet");
    ada.done(&[&photo]).await.made();
    assert_eq!(ada.get(&path).await.status, 200);
    assert_eq!(eve.get(&path).await.refusal(), (404, "not_found"));
    assert_eq!(house.call(reqwest::Method::GET, &path, "nobody", None).await.status, 401);
    // Once what it belonged to is gone, so is the way to it.
    house.call(reqwest::Method::DELETE, &format!("/api/tasks/{}", ada.task), &ada.token, None).await;
    assert_eq!(ada.get(&path).await.refusal(), (404, "not_found"));
    // Without a signature the store hands out nothing.
    let bare = house.bucket.signer().bucket().url().join(&ada.kept(&photo)).unwrap();
    assert_eq!(house.http.get(bare).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_55_and_56_a_file_is_something_to_save_never_a_page_and_a_link_lives_for_minutes() {
    let house = House::open().await;
    let ada = house.person("ada").await;
    let photo = ada.photo().await;
    ada.done(&[&photo]).await.made();
    let link = ada.get(&format!("/api/files/{photo}")).await.body;
    let url = link["url"].as_str().unwrap();
    let response = house.http.get(url).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"{photo}.png\""));
    if house.bucket.is_honeydues() {
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    assert_eq!(response.bytes().await.unwrap(), PNG);
    assert!(url.contains("X-Amz-Expires=300"), "{url}");
    // As a page it can't be had: what it is to be is signed too.
    let as_page = url.replace("response-content-type=image%2Fpng", "response-content-type=text%2Fhtml");
    assert_ne!(as_page, url);
    assert_eq!(house.http.get(as_page).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_57_no_secret_signature_or_signed_address_is_in_any_log() {
    for how in ["auto", "put"] {
        let house = House::with(how).await;
        let ada = house.person("ada").await;
        let photo = ada.photo().await;
        house.bucket.is_wholly(honeydue_surroundings::Mood::Busy);
        assert_eq!(ada.done(&[&photo]).await.status, 503);
        house.bucket.is_wholly(honeydue_surroundings::Mood::Well);
        ada.done(&[&photo]).await.made();
        ada.get(&format!("/api/files/{photo}")).await;
        let log = house.api.log().to_lowercase();
        assert!(log.contains("uploads can't be attached now"), "the log has what a person needs:\n{log}");
        for secret in
            ["x-amz-signature", "x-amz-credential", "sesame", "policy=", "a long password", &ada.token]
        {
            assert!(!log.contains(&secret.to_lowercase()), "{secret} is in the log:\n{log}");
        }
    }
}
