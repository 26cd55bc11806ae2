//! State directories that can't hold an overlay, and layers over layers.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use skep_node::*;

use crate::support::*;

const FOLDER: &str = "SKEP_NODE_STORAGE_FOLDER";

/// A second layer over busybox: one file removed, one directory emptied and filled anew.
fn second_layer(folder: &Path) -> LayerBlob {
    let path = folder.join("second.tar");
    let mut layer = tar::Builder::new(Vec::new());
    for (name, text) in [("bin/.wh.wc", ""), ("var/.wh..wh..opq", ""), ("var/new", "new\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(text.len() as u64);
        layer.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    std::fs::write(&path, layer.into_inner().unwrap()).unwrap();
    LayerBlob { digest: format!("sha256:{:064x}", 2), media_type: String::new(), path }
}

async fn layered(bench: &mut Bench, name: &str) -> (i32, String) {
    let mut input = bench.input(name, json!({"restartPolicy": "Never", "containers": [{
        "name": "c", "command": ["sh", "-c", "ls -A /var; ls /bin/wc 2>/dev/null; cat /var/new; echo x > /bin/written && cat /bin/written"]
    }]}));
    let mut image = bench.image();
    image.layers.push(second_layer(&bench.folder));
    input.images.insert("busybox".to_owned(), ImageState::Ready(image));
    bench.finish(name, input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_hide_what_is_below() {
    if !root("layers_hide_what_is_below") {
        return;
    }
    let mut bench = Bench::new().await;
    assert_eq!(bench.node.capabilities().root_filesystem, RootFilesystem::Overlay);
    assert_eq!(layered(&mut bench, "one").await, (0, "new\nnew\nx\n".to_owned()));
    // In use by a pod that is still known; then by nobody.
    bench.node.collect_layers(Default::default()).await;
    assert_eq!(layered(&mut bench, "two").await.0, 0);
    for name in ["one", "two"] {
        bench.terminate(name, std::time::Duration::ZERO).await;
    }
    bench.node.collect_layers(Default::default()).await;
    assert_eq!(std::fs::read_dir(bench.folder.join("state/images/layers")).unwrap().count(), 0);
    bench.node.shutdown().await;
}

/// Not a test of its own: run in a mount namespace by the one below.
#[tokio::test(flavor = "multi_thread")]
async fn on_an_overlay() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut bench = Bench::over(config(folder), folder).await;
    assert_ne!(bench.node.capabilities().root_filesystem, RootFilesystem::Overlay);
    assert_eq!(layered(&mut bench, "one").await, (0, "new\nnew\nx\n".to_owned()));
    bench.node.shutdown().await;
}

#[test]
fn a_state_directory_on_an_overlay_works() {
    if !root("a_state_directory_on_an_overlay_works") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    // As in a container: the directory is an overlay itself.
    let script = format!(
        "mkdir -p {at}/l {at}/u {at}/w {at}/o && mount -t overlay overlay -o lowerdir={at}/l,upperdir={at}/u,workdir={at}/w {at}/o && \
         {FOLDER}={at}/o exec \"$0\" --exact storage::on_an_overlay --nocapture"
    );
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).arg(program).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
