//! A person's way through the api, on real servers.

use crate::support::{ServesTheApi as _, Surroundings};
use honeydue_model::{Registration, Residence, SignedIn, Task, Urgency, User};
use honeydue_pages::{ApiClient, ClientError};
use serde_json::{Value, json};

async fn register(api: &ApiClient, email: &str) -> SignedIn {
    let registration =
        Registration { email: email.into(), name: "Ada".into(), password: "a long password".into() };
    api.post("/api/auth/register/", None, &registration).await.unwrap()
}

fn refused(error: ClientError) -> (u16, String, Option<String>) {
    match error {
        ClientError::Refused { status, code, field, .. } => (status.as_u16(), code, field),
        other => panic!("expected a refusal, found {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_is_looked_after() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let running = surroundings.serve();
    let api = &running.client;

    let signed_in = register(api, "ada@example.com").await;
    let me = Some(signed_in.token.as_str());
    let again = json!({ "email": "ADA@example.com", "name": "Eve", "password": "a long password" });
    let taken = api.post::<_, SignedIn>("/api/auth/register/", None, &again).await.unwrap_err();
    assert_eq!(refused(taken), (409, "email_taken".into(), Some("email".into())));

    let place = json!({ "name": " Lake house ", "address": "" });
    let residence: Residence = api.post("/api/residences/", me, &place).await.unwrap();
    assert_eq!(residence.name, "Lake house");
    let tasks = format!("/api/residences/{}/tasks/", residence.id);
    let filter = json!({ "title": "Change the filter", "due_on": "2020-02-01", "every_days": 90 });
    let late: Task = api.post(&tasks, me, &filter).await.unwrap();
    assert_eq!(late.urgency, Urgency::Overdue);
    let once: Task =
        api.post(&tasks, me, &json!({ "title": "Sell the boat", "due_on": "2099-01-01" })).await.unwrap();
    let nameless = api.post::<_, Task>(&tasks, me, &json!({ "title": " ", "due_on": "2099-01-01" })).await;
    assert_eq!(refused(nameless.unwrap_err()), (422, "invalid".into(), Some("title".into())));

    let overdue: Vec<Task> = api.get("/api/tasks/?urgency=overdue", me).await.unwrap();
    assert_eq!(overdue, std::slice::from_ref(&late));
    let done: Task = api.post(&format!("/api/tasks/{}/complete/", late.id), me, &()).await.unwrap();
    assert_eq!((done.urgency, done.days_left), (Urgency::Later, 90));
    assert!(done.last_done_on.is_some());
    let done: Task = api.post(&format!("/api/tasks/{}/complete/", once.id), me, &()).await.unwrap();
    assert_eq!(done.urgency, Urgency::Done);
    let twice = api.post::<_, Task>(&format!("/api/tasks/{}/complete/", once.id), me, &()).await;
    assert_eq!(refused(twice.unwrap_err()).0, 404);
    let open: Vec<Task> = api.get("/api/tasks/", me).await.unwrap();
    assert_eq!(open.iter().map(|task| task.id).collect::<Vec<_>>(), [late.id]);

    // Another person sees none of it and can change none of it.
    let other = register(api, "grace@example.com").await;
    let stranger = Some(other.token.as_str());
    assert_eq!(api.get::<Vec<Task>>("/api/tasks/", stranger).await.unwrap(), []);
    for path in [format!("/api/tasks/{}/", late.id), format!("/api/residences/{}/", residence.id)] {
        assert_eq!(refused(api.get::<Value>(&path, stranger).await.unwrap_err()).0, 404, "{path}");
    }
    assert_eq!(refused(api.post::<_, Task>(&tasks, stranger, &filter).await.unwrap_err()).0, 404);
    assert_eq!(refused(api.get::<Value>("/api/tasks/", None).await.unwrap_err()).1, "unauthorized");
    let keeper = api.get::<Value>("/api/keeper/overview/", me).await.unwrap_err();
    assert_eq!(refused(keeper).0, 403);

    api.act(http::Method::POST, "/api/auth/logout/", me).await.unwrap();
    assert!(api.get::<User>("/api/me/", me).await.unwrap_err().is_unauthorized());
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_is_slowed_down() {
    let surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let running = surroundings.serve();
    let api = &running.client;
    register(api, "ada@example.com").await;

    let guess = json!({ "email": "ada@example.com", "password": "not the password" });
    let mut codes = Vec::new();
    for _ in 0..11 {
        let error = api.post::<_, SignedIn>("/api/auth/login/", None, &guess).await.unwrap_err();
        codes.push(refused(error).0);
    }
    assert_eq!(codes[..10], [401; 10]);
    assert_eq!(codes[10], 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_cache_the_api_is_not_ready_but_keeps_its_sessions() {
    let mut surroundings = Surroundings::start();
    surroundings.migrate(None).await;
    let running = surroundings.serve();
    let api = &running.client;
    let signed_in = register(api, "ada@example.com").await;
    let (status, ready) = api.inspect::<Value>("/api/ready/").await.unwrap();
    assert_eq!((status.as_u16(), &ready["status"]), (200, &json!("ready")));

    surroundings.stop_redis();
    let (status, ready) = api.inspect::<Value>("/api/ready/").await.unwrap();
    assert_eq!(status.as_u16(), 503);
    assert_eq!((&ready["checks"]["database"], &ready["checks"]["schema"]), (&json!("ok"), &json!("ok")));
    assert_ne!(ready["checks"]["cache"], "ok");
    let me: User = api.get("/api/me/", Some(&signed_in.token)).await.unwrap();
    assert_eq!(me.email, "ada@example.com");

    surroundings.start_redis();
    let begun = std::time::Instant::now();
    while api.inspect::<Value>("/api/ready/").await.unwrap().0 != 200 {
        assert!(begun.elapsed().as_secs() < 30, "the api does not find its cache again");
    }
}
