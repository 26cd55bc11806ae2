//! The table `residences`. Every query names the owner, so that nobody reaches another's.

use honeydue_model::{NewResidence, Residence};
use jiff::civil::Date;
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    Store, StoreError,
    query::{Ask as _, query},
};

macro_rules! select_residences {
    ($filter:literal) => {
        concat!(
            "select r.id, r.name, r.address, ",
            "count(t.id) filter (where t.done_on is null) as open_tasks, ",
            "count(t.id) filter (where t.done_on is null and t.due_on < $2::text::date) as overdue_tasks ",
            "from residences r left join tasks t on t.residence_id = r.id ",
            "where r.owner_id = $1 ",
            $filter,
            " group by r.id order by lower(r.name), r.id"
        )
    };
}

impl Store {
    /// A person's residences, by name.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn residences(&self, owner: i64, today: Date) -> Result<Vec<Residence>, StoreError> {
        let rows = query(select_residences!("")).bind(owner).bind(today.to_string()).all(self).await?;
        rows.iter().map(residence).collect()
    }

    /// One residence of a person.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn residence(&self, owner: i64, id: i64, today: Date) -> Result<Option<Residence>, StoreError> {
        let row = query(select_residences!("and r.id = $3"))
            .bind(owner)
            .bind(today.to_string())
            .bind(id)
            .optional(self)
            .await?;
        row.as_ref().map(residence).transpose()
    }

    /// Adds a residence.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn add_residence(&self, owner: i64, new: &NewResidence) -> Result<Residence, StoreError> {
        let (name, address) = (new.name.trim(), new.address.trim());
        let row = query("insert into residences (owner_id, name, address) values ($1, $2, $3) returning id")
            .bind(owner)
            .bind(name)
            .bind(address)
            .one(self)
            .await?;
        Ok(Residence {
            id: row.try_get("id")?,
            name: name.to_owned(),
            address: address.to_owned(),
            open_tasks: 0,
            overdue_tasks: 0,
        })
    }

    /// Deletes a residence with its tasks; false when there is none such.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn delete_residence(&self, owner: i64, id: i64) -> Result<bool, StoreError> {
        let deleted = query("delete from residences where owner_id = $1 and id = $2")
            .bind(owner)
            .bind(id)
            .done(self)
            .await?;
        Ok(deleted > 0)
    }
}

fn residence(row: &PgRow) -> Result<Residence, StoreError> {
    Ok(Residence {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        open_tasks: row.try_get("open_tasks")?,
        overdue_tasks: row.try_get("overdue_tasks")?,
    })
}
