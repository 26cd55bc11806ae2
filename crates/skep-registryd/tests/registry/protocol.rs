//! Endpoint by endpoint, after the distribution spec's own conformance tests.

use http::Method;
use serde_json::json;
use skep_model::Digest;

use crate::client::{INDEX, MANIFEST, Served, full, image};

#[tokio::test]
async fn says_that_it_is_a_registry() {
    let served = Served::start().await;
    for path in ["/v2/", "/v2"] {
        let reply = served.get(path).await;
        assert_eq!((reply.status, reply.header("docker-distribution-api-version")), (200, "registry/2.0"));
    }
    for (path, code) in [
        ("/v2/nobody/tags/list", "404 NAME_UNKNOWN"),
        ("/v2/UPPER/tags/list", "400 NAME_INVALID"),
        ("/v2/../../etc/tags/list", "400 NAME_INVALID"),
        ("/v2/a/manifests/none", "404 MANIFEST_UNKNOWN"),
        ("/v2/a/manifests/sha256:12", "400 MANIFEST_INVALID"),
        ("/v2/a/blobs/sha256:12", "400 DIGEST_INVALID"),
        ("/v2/a/other", "404 NOT_FOUND"),
        ("/else", "404 NOT_FOUND"),
    ] {
        assert_eq!(served.get(path).await.code(), code, "{path}");
    }
    assert_eq!(served.send(Method::PUT, "/v2/", &[], full("")).await.code(), "405 UNSUPPORTED");
    served.stop().await;
}

#[tokio::test]
async fn a_blob_comes_in_one_request_and_is_read_whole_and_in_part() {
    let served = Served::start().await;
    let digest = served.push_blob("admin/app", b"0123456789").await;
    let path = format!("/v2/admin/app/blobs/{digest}");
    let escaped = path.replace(':', "%3A");
    let head = served.head(&escaped).await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert_eq!(head.header("docker-content-digest"), digest.to_string());
    assert_eq!(&served.get(&path).await.bytes[..], b"0123456789");
    let part = served.send(Method::GET, &path, &[("range", "bytes=2-4")], full("")).await;
    assert_eq!(
        (part.status, part.header("content-range"), &part.bytes[..]),
        (206, "bytes 2-4/10", &b"234"[..])
    );
    let rest = served.send(Method::GET, &path, &[("range", "bytes=7-")], full("")).await;
    assert_eq!(&rest.bytes[..], b"789");
    let none = served.send(Method::GET, &path, &[("range", "bytes=10-")], full("")).await;
    assert_eq!((none.status, none.header("content-range")), (416, "bytes */10"));
    assert_eq!(
        served.registry.blob_path(&digest).map(|path| std::fs::read(path).expect("readable")),
        Some(b"0123456789".to_vec())
    );
    // Nothing to see from elsewhere, and gone when deleted.
    assert_eq!(served.get(&format!("/v2/other/blobs/{digest}")).await.code(), "404 BLOB_UNKNOWN");
    assert_eq!(served.delete(&path).await.status, 202);
    assert_eq!(served.head(&path).await.status, 404);
    assert_eq!(served.delete(&path).await.code(), "404 BLOB_UNKNOWN");
    let empty = served.push_blob("admin/app", b"").await;
    let read = served.get(&format!("/v2/admin/app/blobs/{empty}")).await;
    assert_eq!((read.status, read.header("content-length")), (200, "0"));
    served.stop().await;
}

#[tokio::test]
async fn a_blob_comes_piece_by_piece() {
    let served = Served::start().await;
    let upload = served.begin("app").await;
    let (begun, digest) = (served.get(&upload).await, Digest::of(b"one two"));
    assert_eq!((begun.status, begun.header("range")), (204, "0-0"));
    // As podman sends it, without Content-Range; then as the spec has it.
    let first = served.send(Method::PATCH, &upload, &[], full("one")).await;
    assert_eq!(
        (first.status, first.header("range"), first.header("location")),
        (202, "0-2", upload.as_str())
    );
    for gap in ["4-7", "0-2", "2-5"] {
        let reply = served.send(Method::PATCH, &upload, &[("content-range", gap)], full(" two")).await;
        assert_eq!((reply.status, reply.header("range")), (416, "0-2"), "{gap}");
        assert_eq!(reply.header("location"), upload);
    }
    let second = served.send(Method::PATCH, &upload, &[("content-range", "3-5")], full(" tw")).await;
    assert_eq!((second.status, second.header("range")), (202, "0-5"));
    let status = served.get(&upload).await;
    assert_eq!((status.status, status.header("range")), (204, "0-5"));
    let done = served
        .send(Method::PUT, &format!("{upload}?digest={digest}"), &[("content-range", "6-6")], full("o"))
        .await;
    assert_eq!((done.status, done.header("location")), (201, format!("/v2/app/blobs/{digest}").as_str()));
    assert_eq!(&served.get(&format!("/v2/app/blobs/{digest}")).await.bytes[..], b"one two");
    assert_eq!(served.get(&upload).await.code(), "404 BLOB_UPLOAD_UNKNOWN");
    let cancelled = served.begin("app").await;
    assert_eq!(served.send(Method::PUT, &cancelled, &[], full("")).await.code(), "400 DIGEST_INVALID");
    let elsewhere = cancelled.replace("/app/", "/other/");
    assert_eq!(served.get(&elsewhere).await.code(), "404 BLOB_UPLOAD_UNKNOWN");
    assert_eq!(served.delete(&cancelled).await.status, 204);
    assert_eq!(served.get(&cancelled).await.status, 404);
    served.stop().await;
}

#[tokio::test]
async fn content_that_is_not_what_it_says_gets_no_name() {
    let served = Served::start().await;
    let (said, sent) = (Digest::of(b"said"), Digest::of(b"sent"));
    let path = format!("/v2/app/blobs/uploads/?digest={said}");
    let reply = served.send(Method::POST, &path, &[], full("sent")).await;
    assert_eq!(reply.code(), "400 DIGEST_INVALID");
    assert!(reply.json()["errors"][0]["message"].as_str().expect("text").contains(&sent.to_string()));
    assert!(served.registry.blob_path(&said).is_none() && served.registry.blob_path(&sent).is_none());
    let unfinished = std::fs::read_dir(served.registry.dir().join("uploads")).expect("readable").count();
    assert_eq!(unfinished, 0);
    served.stop().await;
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let served = Served::start().await;
    let digest = served.push_blob("from", b"shared").await;
    let mount = |query: String| format!("/v2/to/blobs/uploads/?{query}");
    let post = async |path: String| served.send(Method::POST, &path, &[], full("")).await;
    assert_eq!(post(mount(format!("mount={digest}&from=nobody"))).await.status, 202, "an upload instead");
    assert_eq!(served.head(&format!("/v2/to/blobs/{digest}")).await.status, 404);
    let mounted = post(mount(format!("mount={digest}&from=from"))).await;
    assert_eq!(
        (mounted.status, mounted.header("location")),
        (201, format!("/v2/to/blobs/{digest}").as_str())
    );
    assert_eq!(&served.get(&format!("/v2/to/blobs/{digest}")).await.bytes[..], b"shared");
    assert_eq!(post(format!("/v2/third/blobs/uploads/?mount={digest}")).await.status, 201);
    served.stop().await;
}

#[tokio::test]
async fn manifests_keep_their_bytes_and_type() {
    let served = Served::start().await;
    let (digest, _) = served.push_image("admin/app", "v1", "layer").await;
    // Spaces and all.
    let odd = serde_json::to_string_pretty(&image("layer", None)).expect("valid");
    let path = "/v2/admin/app/manifests/odd";
    let pushed = served.send(Method::PUT, path, &[("content-type", MANIFEST)], full(odd.clone())).await;
    let odd_digest = Digest::of(odd.as_bytes());
    assert_eq!(
        (pushed.status, pushed.header("docker-content-digest")),
        (201, odd_digest.to_string().as_str())
    );
    for reference in ["odd", &odd_digest.to_string()] {
        let read = served.get(&format!("/v2/admin/app/manifests/{reference}")).await;
        assert_eq!((read.header("content-type"), &read.bytes[..]), (MANIFEST, odd.as_bytes()));
        let head = served.head(&format!("/v2/admin/app/manifests/{reference}")).await;
        assert_eq!((head.status, head.header("content-length")), (200, odd.len().to_string().as_str()));
        assert_eq!(head.header("docker-content-digest"), odd_digest.to_string());
        let stored = served.registry.manifest("admin/app", reference).expect("readable").expect("there");
        assert_eq!(
            (stored.digest, stored.media_type.as_str(), &stored.bytes[..]),
            (odd_digest, MANIFEST, odd.as_bytes())
        );
    }
    assert_eq!(served.registry.manifest("admin/app", "none").expect("readable"), None);
    assert_eq!(served.registry.tags("admin/app").expect("readable"), ["odd", "v1"]);
    // A tag goes alone; a digest takes its tags with it.
    assert_eq!(served.delete(path).await.status, 202);
    assert_eq!(served.get(path).await.code(), "404 MANIFEST_UNKNOWN");
    assert_eq!(served.get(&format!("/v2/admin/app/manifests/{odd_digest}")).await.status, 200);
    assert_eq!(served.delete(&format!("/v2/admin/app/manifests/{digest}")).await.status, 202);
    assert_eq!(served.get("/v2/admin/app/manifests/v1").await.status, 404);
    assert_eq!(served.delete(path).await.code(), "404 MANIFEST_UNKNOWN");
    served.stop().await;
}

#[tokio::test]
async fn manifests_that_cannot_be_pulled_are_refused() {
    let served = Served::start().await;
    let push = async |reference: &str, kind: &str, manifest: &serde_json::Value| {
        served.push_manifest("app", reference, kind, manifest).await.code()
    };
    assert_eq!(push("v1", MANIFEST, &image("layer", None)).await, "404 MANIFEST_BLOB_UNKNOWN");
    let (digest, _) = served.push_image("app", "v1", "layer").await;
    assert_eq!(push("v2", INDEX, &image("layer", None)).await, "400 MANIFEST_INVALID", "two types");
    assert_eq!(push("v2", MANIFEST, &json!({ "schemaVersion": 1 })).await, "400 MANIFEST_INVALID");
    assert_eq!(push("v2", MANIFEST, &json!("text")).await, "400 MANIFEST_INVALID");
    assert_eq!(
        push(&Digest::of(b"").to_string(), MANIFEST, &image("layer", None)).await,
        "400 DIGEST_INVALID"
    );
    let mut wrong_size = image("layer", None);
    wrong_size["layers"][0]["size"] = json!(6);
    assert_eq!(push("v2", MANIFEST, &wrong_size).await, "400 MANIFEST_INVALID");
    let index = |digest: &str| json!({ "schemaVersion": 2, "manifests": [{ "mediaType": MANIFEST, "digest": digest, "size": 1 }] });
    assert_eq!(push("all", INDEX, &index(&Digest::of(b"").to_string())).await, "404 MANIFEST_BLOB_UNKNOWN");
    assert_eq!(push("all", INDEX, &index(&digest.to_string())).await, "201");
    assert_eq!(served.get("/v2/app/manifests/all").await.header("content-type"), INDEX);
    let large = vec![b' '; 5 * 1024 * 1024];
    let reply =
        served.send(Method::PUT, "/v2/app/manifests/large", &[("content-type", MANIFEST)], full(large)).await;
    assert_eq!(reply.code(), "413 MANIFEST_INVALID");
    served.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let served = Served::start().await;
    for (repository, tag) in [("b", "v3"), ("b", "v1"), ("b", "v2"), ("a/x", "v1")] {
        served.push_image(repository, tag, tag).await;
    }
    served.push_blob("no/manifest", b"x").await;
    assert_eq!(served.get("/v2/_catalog").await.json(), json!({ "repositories": ["a/x", "b"] }));
    assert_eq!(served.registry.repositories().expect("readable"), ["a/x", "b"]);
    assert_eq!(
        served.get("/v2/b/tags/list").await.json(),
        json!({ "name": "b", "tags": ["v1", "v2", "v3"] })
    );
    let page = served.get("/v2/b/tags/list?n=2").await;
    assert_eq!(page.json()["tags"], json!(["v1", "v2"]));
    assert_eq!(page.header("link"), "</v2/b/tags/list?n=2&last=v2>; rel=\"next\"");
    let last = served.get("/v2/b/tags/list?n=2&last=v2").await;
    assert_eq!((last.json()["tags"].clone(), last.header("link")), (json!(["v3"]), ""));
    assert_eq!(served.get("/v2/b/tags/list?n=0").await.json()["tags"], json!([]));
    assert_eq!(served.get("/v2/_catalog?n=1").await.json()["repositories"], json!(["a/x"]));
    assert_eq!(served.get("/v2/b/tags/list?n=x").await.status, 400);
    served.stop().await;
}

#[tokio::test]
async fn referrers_are_found_by_their_subject() {
    let served = Served::start().await;
    let (subject, _) = served.push_image("app", "v1", "layer").await;
    let missing = Digest::of(b"not pushed yet");
    let refer = |artifact: &str, subject: Digest| {
        let mut manifest =
            image("layer", Some(json!({ "mediaType": MANIFEST, "digest": subject.to_string(), "size": 1 })));
        manifest["artifactType"] = json!(artifact);
        manifest["annotations"] = json!({ "of": "test" });
        manifest
    };
    let mut digests = Vec::new();
    for (artifact, subject) in [("test/sbom", subject), ("test/signature", subject), ("test/sbom", missing)] {
        let manifest = refer(artifact, subject);
        let digest = Digest::of(manifest.to_string().as_bytes()).to_string();
        let pushed = served.push_manifest("app", &digest, MANIFEST, &manifest).await;
        assert_eq!((pushed.status, pushed.header("oci-subject")), (201, subject.to_string().as_str()));
        digests.push(digest);
    }
    let all = served.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!((all.status, all.header("content-type")), (200, INDEX));
    assert_eq!(all.json()["manifests"].as_array().expect("a list").len(), 2);
    let some = served.get(&format!("/v2/app/referrers/{subject}?artifactType=test/sbom")).await;
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    let found = &some.json()["manifests"];
    assert_eq!(found.as_array().expect("a list").len(), 1);
    assert_eq!((&found[0]["digest"], &found[0]["artifactType"]), (&json!(digests[0]), &json!("test/sbom")));
    assert_eq!(found[0]["annotations"], json!({ "of": "test" }));
    let early = served.get(&format!("/v2/app/referrers/{missing}")).await;
    assert_eq!(early.json()["manifests"][0]["digest"], json!(digests[2]));
    assert_eq!(served.delete(&format!("/v2/app/manifests/{}", digests[0])).await.status, 202);
    let left = served.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!(left.json()["manifests"].as_array().expect("a list").len(), 1);
    let nobody = served.get(&format!("/v2/app/referrers/{}", Digest::of(b"x"))).await;
    assert_eq!(nobody.json(), json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }));
    served.stop().await;
}
