//! `batch/v1`.

use k8s_openapi::api::batch::v1 as types;

use super::{BASE, LAX, STATUS};
use crate::decode::decode;
use crate::kind::{KindInfo, Rules};
use crate::{defaults, table, validate};

const BATCH: KindInfo =
    KindInfo { group: "batch", categories: &["all"], generation: true, subresources: STATUS, ..BASE };

pub(super) static JOB: KindInfo = KindInfo {
    kind: "Job",
    plural: "jobs",
    singular: "job",
    rules: Rules {
        decode: decode::<types::Job>,
        default: defaults::job,
        validate: validate::job,
        validate_update: validate::job_update,
    },
    columns: &table::JOBS,
    ..BATCH
};

pub(super) static CRON_JOB: KindInfo = KindInfo {
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    rules: Rules {
        decode: decode::<types::CronJob>,
        default: defaults::cron_job,
        validate: validate::cron_job,
        ..LAX
    },
    columns: &table::CRON_JOBS,
    ..BATCH
};
