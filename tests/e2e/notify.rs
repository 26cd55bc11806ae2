//! The end of each release, told to a webhook that is real and sometimes fails.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use skep_tests::{Outcome, World};

/// One POST: its headers in small letters, and its body.
#[derive(Debug, Clone)]
struct Post {
    headers: Vec<String>,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// Takes POSTs and answers them with these statuses in turn, the last one for ever.
fn webhook(statuses: &'static [&'static str]) -> (String, Arc<Mutex<Vec<Post>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let posts = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&posts);
    thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                    break;
                }
                let line = line.trim();
                headers.push(match line.split_once(':') {
                    Some((name, value)) => format!("{}: {}", name.to_lowercase(), value.trim()),
                    None => line.to_owned(),
                });
            }
            let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            taken
                .lock()
                .expect("unpoisoned")
                .push(Post { headers, body: String::from_utf8_lossy(&body).into_owned() });
            let status = statuses[at.min(statuses.len() - 1)];
            drop(write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    });
    (format!("http://{address}/hook"), posts)
}

fn deploy(world: &World) -> Outcome {
    let mut command = world.command(&["deploy"]);
    Outcome::of(command.env("SKEP_TEST_HOOK_KEY", "a key that nobody guesses"))
}

#[test]
fn the_end_of_each_release_is_told_signed_and_told_again_after_an_error() {
    let world = World::new();
    let (url, posts) = webhook(&["503 Service Unavailable", "200 OK"]);
    world
        .project
        .append("skep.yaml", &format!("notify: {{ url: \"{url}\", secret-env: SKEP_TEST_HOOK_KEY }}\n"));
    deploy(&world).ok();
    let told = posts.lock().expect("unpoisoned").clone();
    assert_eq!(told.len(), 2, "the first answer was 503: {told:?}");
    assert_eq!(told[0].header("x-skep-delivery"), told[1].header("x-skep-delivery"));
    let event: Value = serde_json::from_str(&told[1].body).expect("JSON");
    assert_eq!((&event["outcome"], &event["release"]["number"]), (&"deployed".into(), &1.into()), "{event}");
    assert!(event["summary"].as_str().is_some_and(|summary| summary.contains("v1 is live on")), "{event}");
    // openssl has its own opinion of the signature.
    let body = world.path().join("body");
    let timestamp = told[1].header("x-skep-timestamp");
    let sent: i64 = timestamp.parse().expect("seconds");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(now.abs_diff(sent.unsigned_abs()) < 300, "{timestamp} is about now");
    std::fs::write(&body, format!("{timestamp}.{}", told[1].body)).expect("a file can be written");
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", "a key that nobody guesses"]).arg(&body);
    let digest = Outcome::of(&mut openssl).ok().stdout;
    let digest = digest.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!(told[1].header("x-skep-signature"), format!("sha256={digest}"));
    // Nothing changed: nothing is told.
    deploy(&world).ok();
    assert_eq!(posts.lock().expect("unpoisoned").len(), 2);
    world.project.write("release", "crash no config\n");
    deploy(&world).code(30);
    let told = posts.lock().expect("unpoisoned").clone();
    let event: Value = serde_json::from_str(&told[2].body).expect("JSON");
    assert_eq!((&event["outcome"], &event["restored"]["to"]), (&"restored".into(), &1.into()), "{event}");
    assert!(event["failure"].as_str().is_some_and(|why| why.contains("exit code 3")), "{event}");
}

#[test]
fn redirect_to_another_origin_is_not_followed() {
    let world = World::new();
    let (elsewhere, stolen) = webhook(&["200 OK"]);
    let elsewhere_redirect: &'static str =
        format!("307 Temporary Redirect\r\nLocation: {elsewhere}/t0psecret").leak();
    let (url, posts) =
        webhook(vec![elsewhere_redirect, "308 Permanent Redirect\r\nLocation: /moved", "200 OK"].leak());
    let notify = format!("notify: {{ url: \"{url}/s3cret\", secret-env: SKEP_TEST_HOOK_KEY }}\n");
    world.project.append("skep.yaml", &notify);
    let origin = elsewhere.trim_end_matches("/hook").to_owned();
    let told = deploy(&world).ok().says(&format!("redirects to {origin}, which is not followed"));
    told.never_says("t0psecret").never_says("s3cret");
    assert_eq!(posts.lock().expect("unpoisoned").len(), 1, "the same answer would come again");
    assert!(stolen.lock().expect("unpoisoned").is_empty());
    // Within the origin nothing is given away.
    world.project.write("release", "two\n");
    deploy(&world).ok().never_says("`notify` could not tell it");
    let told = posts.lock().expect("unpoisoned").clone();
    assert!(told.len() == 3 && told[2].headers[0].starts_with("POST /moved"), "{told:?}");
    assert_eq!(told[2].header("x-skep-signature"), told[1].header("x-skep-signature"));
}

#[test]
fn a_webhook_that_takes_nothing_fails_no_deploy_and_a_chat_gets_its_own_form() {
    let world = World::new();
    let (url, posts) = webhook(&["200 OK", "404 Not Found"]);
    let notify = format!("notify: {{ url: \"{url}\", template: '{{\"text\": \"{{{{summary}}}}\"}}' }}\n");
    world.project.append("skep.yaml", &notify);
    deploy(&world).ok();
    let said: Value = serde_json::from_str(&posts.lock().expect("unpoisoned")[0].body).expect("JSON");
    assert!(said["text"].as_str().is_some_and(|text| text.contains("v1 is live on")), "{said}");
    world.project.write("release", "two\n");
    deploy(&world).ok().says("`notify` could not tell it: 127.0.0.1 answered 404 Not Found");
    assert_eq!(posts.lock().expect("unpoisoned").len(), 2, "what is refused is not tried again");
    // Nobody listens.
    world.project.edit("skep.yaml", "/hook", ":1/hook");
    world.project.edit("skep.yaml", "template: '{", "template: '");
    world.skep(&["deploy"]).code(10).says("notify/template").says("is no JSON");
}
