//! The front page, and the page where one lives: what is due, and the forms around it.

use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use honeydue_model::{Digest, NewResidence, NewTask, Reminder, Residence, Task, User};
use honeydue_pages::{ClientError, look};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;

use crate::{
    shown::{Home, Landing, groups, noted},
    starter::usual_tasks,
    state::Web,
};

/// `GET /`: what honeyDue is, or home for those who are signed in.
pub(crate) async fn landing(State(web): State<Web>, headers: HeaderMap) -> Response {
    if web.token(&headers).is_some() {
        return Redirect::to("/home").into_response();
    }
    look::page(StatusCode::OK, &Landing { frame: web.frame(None).await })
}

/// `GET /home`.
pub(crate) async fn home(State(web): State<Web>, headers: HeaderMap) -> Response {
    match web.token(&headers) {
        Some(token) => show(&web, &token, None).await,
        None => Redirect::to("/login").into_response(),
    }
}

/// The form for a new residence.
#[derive(Debug, Deserialize)]
pub(crate) struct ResidenceForm {
    name: String,
    address: String,
    usual_tasks: Option<String>,
}

/// `POST /residences`.
pub(crate) async fn add_residence(
    State(web): State<Web>,
    headers: HeaderMap,
    Form(form): Form<ResidenceForm>,
) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    let new = NewResidence { name: form.name, address: form.address };
    let added = async {
        let residence: Residence = web.api.post("/api/residences/", Some(&token), &new).await?;
        if form.usual_tasks.is_some() {
            let path = format!("/api/residences/{}/tasks/", residence.id);
            for task in usual_tasks(today()) {
                web.api.post::<_, Task>(&path, Some(&token), &task).await?;
            }
        }
        Ok(())
    };
    back_home(&web, &token, added.await).await
}

/// `POST /residences/{id}/delete`.
pub(crate) async fn delete_residence(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Response {
    act(&web, &headers, Method::DELETE, &format!("/api/residences/{id}/")).await
}

/// The form for a new task.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskForm {
    residence_id: i64,
    title: String,
    notes: String,
    due_on: String,
    every_days: String,
}

/// `POST /tasks`.
pub(crate) async fn add_task(
    State(web): State<Web>,
    headers: HeaderMap,
    Form(form): Form<TaskForm>,
) -> Response {
    let Some(token) = web.token(&headers) else { return Redirect::to("/login").into_response() };
    let Ok(due_on) = form.due_on.parse() else {
        return show(&web, &token, Some("choose the day that the task is due".to_owned())).await;
    };
    let new =
        NewTask { title: form.title, notes: form.notes, due_on, every_days: form.every_days.parse().ok() };
    let path = format!("/api/residences/{}/tasks/", form.residence_id);
    let added = web.api.post::<_, Task>(&path, Some(&token), &new).await.map(|_| ());
    back_home(&web, &token, added).await
}

/// `POST /tasks/{id}/complete`.
pub(crate) async fn complete_task(
    State(web): State<Web>,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Response {
    act(&web, &headers, Method::POST, &format!("/api/tasks/{id}/complete/")).await
}

/// `POST /tasks/{id}/delete`.
pub(crate) async fn delete_task(State(web): State<Web>, headers: HeaderMap, Path(id): Path<i64>) -> Response {
    act(&web, &headers, Method::DELETE, &format!("/api/tasks/{id}/")).await
}

async fn act(web: &Web, headers: &HeaderMap, method: Method, path: &str) -> Response {
    let Some(token) = web.token(headers) else { return Redirect::to("/login").into_response() };
    let done = web.api.act(method, path, Some(&token)).await;
    back_home(web, &token, done).await
}

/// Home after a form: by redirect, so that reloading does not send it twice; with what was wrong, if something was.
async fn back_home(web: &Web, token: &str, outcome: Result<(), ClientError>) -> Response {
    match outcome {
        Ok(()) => Redirect::to("/home").into_response(),
        Err(ClientError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, message, .. }) => {
            show(web, token, Some(message)).await
        }
        Err(error) => web.failed(&error).await,
    }
}

async fn show(web: &Web, token: &str, wrong: Option<String>) -> Response {
    match load(web, token, wrong).await {
        Ok(page) => {
            let status = if page.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            look::page(status, &page)
        }
        Err(error) => web.failed(&error).await,
    }
}

async fn load(web: &Web, token: &str, wrong: Option<String>) -> Result<Home, ClientError> {
    let token = Some(token);
    let (user, residences, tasks, reminders, digest) = tokio::try_join!(
        web.api.get::<User>("/api/me/", token),
        web.api.get::<Vec<Residence>>("/api/residences/", token),
        web.api.get::<Vec<Task>>("/api/tasks/", token),
        web.api.get::<Vec<Reminder>>("/api/reminders/", token),
        web.api.get::<Option<Digest>>("/api/digest/", token),
    )?;
    Ok(Home {
        first_name: user.name.split_whitespace().next().unwrap_or(&user.name).to_owned(),
        frame: web.frame(Some(user.name)).await,
        groups: groups(tasks),
        residences,
        reminders: noted(reminders),
        digest,
        today: today().to_string(),
        wrong,
    })
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
