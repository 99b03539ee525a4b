//! Registers by pages, read at one state of the tables.

use evidence::hash::{from_hex, hex, sha256};
use sqlx::{FromRow, QueryBuilder, Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use super::{Views, positions};
use crate::{
    error::Error,
    query::{Filter, Listing, Page, Table},
    rows::{
        ActivityRow, AppealRow, ClassifierRow, ContactRow, CorrectionRow, DirectiveRow, MeasureRow,
        OfficeRow, ReceptionRow, ReportRow, SkippedRow,
    },
};

impl Views {
    /// Contacts, newest first.
    ///
    /// # Errors
    /// [`Error::Filter`], [`Error::PageToken`], [`Error::Database`], [`Error::Damaged`].
    pub async fn list_contacts(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<ContactRow>, Error> {
        self.list(Table::Contacts, filter, page).await
    }

    /// Appeals, newest first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_appeals(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<AppealRow>, Error> {
        self.list(Table::Appeals, filter, page).await
    }

    /// Receptions, latest day first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_receptions(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<ReceptionRow>, Error> {
        self.list(Table::Receptions, filter, page).await
    }

    /// Preventive measures, latest day first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_measures(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<MeasureRow>, Error> {
        self.list(Table::Measures, filter, page).await
    }

    /// Activities of the image-policy plan, latest day first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_activities(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<ActivityRow>, Error> {
        self.list(Table::Activities, filter, page).await
    }

    /// Directives by addressed office, newest first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_directives(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<DirectiveRow>, Error> {
        self.list(Table::Directives, filter, page).await
    }

    /// Corrections of appeals, newest first.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_corrections(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<CorrectionRow>, Error> {
        self.list(Table::Corrections, filter, page).await
    }

    /// Enrolled offices by code, with the state of their replication. Of the filter only the
    /// office applies.
    ///
    /// # Errors
    /// As [`Views::list_contacts`].
    pub async fn list_offices(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<OfficeRow>, Error> {
        let only = Filter { office: filter.office.clone(), ..Filter::default() };
        if *filter != only {
            return Err(Error::Filter { table: "offices", field: "anything but the office" });
        }
        let mut tx = self.readers.begin().await?;
        let mut rows = offices(&mut tx).await?;
        let freshness = positions(&mut tx).await?;
        rows.retain(|row| filter.office.as_ref().is_none_or(|office| *office == row.code));
        let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mark = mark("offices", filter);
        let after = match &page.token {
            Some(token) => Some(Key::read(token, &mark)?.office),
            None => None,
        };
        rows.retain(|row| after.as_ref().is_none_or(|after| row.code > *after));
        let size = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(|row| {
            Key { at: 0, office: row.code.clone(), id: [0; 16], version: 0 }.write(&mark)
        });
        Ok(Listing { rows, next, total, freshness })
    }

    /// What an office reported about a directive, by report, indicators before evidence.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn reports(
        &self,
        directive: &[u8; 16],
        office: &str,
    ) -> Result<Vec<ReportRow>, Error> {
        let rows = sqlx::query_as(
            "SELECT report, item, code, value FROM reports WHERE id = $1 AND office = $2 \
             ORDER BY report, item DESC, code",
        )
        .bind(Uuid::from_bytes(*directive))
        .bind(office)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows)
    }

    /// The newest version of every published classifier, in the order of its list. Built-in
    /// versions are not in any log and not here.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn classifiers(&self) -> Result<Vec<ClassifierRow>, Error> {
        let rows = sqlx::query_as(
            "SELECT id, version, code, name_kk, name_ru, name_en FROM classifiers c \
             WHERE version = (SELECT MAX(version) FROM classifiers WHERE id = c.id) \
             ORDER BY id, place",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows)
    }

    /// Records that are in no table, and why.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub async fn skipped(&self) -> Result<Vec<SkippedRow>, Error> {
        let rows = sqlx::query_as("SELECT * FROM skipped ORDER BY log, reason, type_code")
            .fetch_all(&self.readers)
            .await?;
        Ok(rows)
    }

    async fn list<R>(&self, table: Table, filter: &Filter, page: &Page) -> Result<Listing<R>, Error>
    where
        R: for<'r> FromRow<'r, SqliteRow>,
    {
        let spec = table.spec();
        let mark = mark(spec.name, filter);
        let mut rows_sql = QueryBuilder::new("SELECT * FROM ");
        rows_sql.push(spec.name).push(" WHERE TRUE");
        spec.restrict(&mut rows_sql, filter)?;
        // The correction's table alone has several rows of one stream: its key ends in version.
        let version = if table == Table::Corrections { "version" } else { "0" };
        if let Some(token) = &page.token {
            let key = Key::read(token, &mark)?;
            rows_sql.push(" AND (at, office, id, ").push(version).push(") < (").push_bind(key.at);
            rows_sql.push(", ").push_bind(key.office);
            rows_sql.push(", ").push_bind(Uuid::from_bytes(key.id));
            rows_sql.push(", ").push_bind(key.version).push(")");
        }
        rows_sql.push(" ORDER BY at DESC, office DESC, id DESC");
        if table == Table::Corrections {
            rows_sql.push(", version DESC");
        }
        rows_sql.push(" LIMIT ").push_bind(i64::from(page.rows()) + 1);
        let mut count_sql = QueryBuilder::new("SELECT COUNT(*) FROM ");
        count_sql.push(spec.name).push(" WHERE TRUE");
        spec.restrict(&mut count_sql, filter)?;

        let mut tx = self.readers.begin().await?;
        let mut found = rows_sql.build().fetch_all(&mut *tx).await?;
        let total: u64 = count_sql.build_query_scalar().fetch_one(&mut *tx).await?;
        let freshness = positions(&mut tx).await?;
        let size = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let next = match found.last().filter(|_| more) {
            Some(row) => Some(Key::of(row, table)?.write(&mark)),
            None => None,
        };
        let rows = found.iter().map(R::from_row).collect::<Result<_, _>>()?;
        Ok(Listing { rows, next, total, freshness })
    }
}

/// All enrolled offices by code, as the connection's transaction sees them.
pub(super) async fn offices(reader: &mut SqliteConnection) -> Result<Vec<OfficeRow>, Error> {
    let rows = sqlx::query(
        "SELECT o.*, (SELECT COALESCE(SUM(p.next_seq), 0) FROM positions p \
         WHERE p.log = LOWER(o.code)) AS records FROM offices o ORDER BY o.code",
    )
    .fetch_all(reader)
    .await?;
    let office = |row: &SqliteRow| -> Result<OfficeRow, sqlx::Error> {
        Ok(OfficeRow {
            code: row.try_get("code")?,
            name_kk: row.try_get("name_kk")?,
            name_ru: row.try_get("name_ru")?,
            name_en: row.try_get("name_en")?,
            zone: row.try_get("zone")?,
            log_key: row.try_get("log_key")?,
            witness_key: row.try_get("witness_key")?,
            enrolled_at: row.try_get("enrolled_at")?,
            records: row.try_get("records")?,
        })
    };
    rows.iter().map(|row| Ok(office(row)?)).collect()
}

/// A short digest that binds a page token to its table and filter.
fn mark(table: &str, filter: &Filter) -> [u8; 8] {
    // The filter holds codes, instants and ids; its Debug form is injective on them.
    let digest = sha256(format!("{table} {filter:?}").as_bytes());
    let mut mark = [0; 8];
    mark.copy_from_slice(&digest[..8]);
    mark
}

/// The place of a row in a list.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    at: i64,
    office: String,
    id: [u8; 16],
    version: i64,
}

impl Key {
    fn of(row: &SqliteRow, table: Table) -> Result<Self, sqlx::Error> {
        let id: Uuid = row.try_get("id")?;
        let version = match table {
            Table::Corrections => row.try_get("version")?,
            _ => 0,
        };
        Ok(Self {
            at: row.try_get("at")?,
            office: row.try_get("office")?,
            id: id.into_bytes(),
            version,
        })
    }

    fn write(&self, mark: &[u8; 8]) -> String {
        let mut bytes = mark.to_vec();
        bytes.extend(self.at.to_be_bytes());
        bytes.extend(self.id);
        bytes.extend(self.version.to_be_bytes());
        bytes.extend(self.office.as_bytes());
        hex(&bytes)
    }

    fn read(token: &str, mark: &[u8; 8]) -> Result<Self, Error> {
        let key = from_hex(token).and_then(|bytes| {
            let rest = bytes.strip_prefix(mark)?;
            let (at, rest) = rest.split_first_chunk()?;
            let (id, rest) = rest.split_first_chunk()?;
            let (version, office) = rest.split_first_chunk()?;
            Some(Self {
                at: i64::from_be_bytes(*at),
                office: String::from_utf8(office.to_vec()).ok()?,
                id: *id,
                version: i64::from_be_bytes(*version),
            })
        });
        key.ok_or(Error::PageToken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_names_its_row_and_fits_only_its_query(
            at: i64,
            office in "[A-Z]{2}(-[0-9]{2})?",
            id: [u8; 16],
            version: i64,
            cut in 0..40_usize,
        ) {
            let key = Key { at, office, id, version };
            let mark = mark("appeals", &Filter::default());
            let token = key.write(&mark);
            prop_assert_eq!(&Key::read(&token, &mark).unwrap(), &key);
            let other = super::mark("appeals", &Filter::office("KZ"));
            prop_assert!(Key::read(&token, &other).is_err());
            prop_assert!(Key::read(&token[..2 * cut], &mark).is_err());
            prop_assert_eq!(token.len(), 2 * (40 + key.office.len()));
        }

        #[test]
        fn no_token_panics(token in "\\PC{0,120}") {
            prop_assert!(Key::read(&token, &[7; 8]).is_err());
        }
    }
}
