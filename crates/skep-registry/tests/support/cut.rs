//! A TCP proxy that cuts the first connections that send a lot.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Listens before `upstream`; the first `cuts` connections that sent more than `after` bytes are dropped at once.
pub(crate) async fn cutting_proxy(upstream: String, cuts: u32, after: u64) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let left = Arc::new(AtomicU32::new(cuts));
    let shared = left.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, left) = (upstream.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(&upstream).await else {
                    return;
                };
                let (mut client_out, mut client_in) = client.into_split();
                let (mut server_out, mut server_in) = server.into_split();
                let back =
                    tokio::spawn(async move { tokio::io::copy(&mut server_out, &mut client_in).await });
                let mut buffer = vec![0; 64 << 10];
                let mut sent = 0;
                while let Ok(got @ 1..) = client_out.read(&mut buffer).await {
                    sent += got as u64;
                    let take_one = |left: u32| left.checked_sub(1);
                    if sent > after && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok()
                    {
                        back.abort();
                        return;
                    }
                    if server_in.write_all(&buffer[..got]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, left)
}
