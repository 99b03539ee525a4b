//! What each table can be filtered and grouped by, and when its rows are open or overdue.

use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::{
    error::Error,
    query::{Column, Filter, Table},
};

/// One table of work as SQL sees it.
#[derive(Debug)]
pub(super) struct Spec {
    /// The table or view.
    pub name: &'static str,
    /// The columns that filters and groupings may name, besides `office`, `month`, `at`, `id`.
    columns: &'static [&'static str],
    /// When a row is not finished.
    pub open: Option<&'static str>,
    /// When a row still has a term that can pass.
    pub pending: Option<&'static str>,
}

impl Table {
    /// Every table that can be listed and counted.
    pub const ALL: [Self; 8] = [
        Self::Contacts,
        Self::Appeals,
        Self::Receptions,
        Self::Measures,
        Self::Activities,
        Self::Directives,
        Self::Corrections,
        Self::Openings,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub(super) fn spec(self) -> &'static Spec {
        match self {
            Self::Contacts => &CONTACTS,
            Self::Appeals => &APPEALS,
            Self::Receptions => &RECEPTIONS,
            Self::Measures => &MEASURES,
            Self::Activities => &ACTIVITIES,
            Self::Directives => &DIRECTIVES,
            Self::Corrections => &CORRECTIONS,
            Self::Openings => &OPENINGS,
        }
    }
}

static CONTACTS: Spec = Spec {
    name: "contacts",
    columns: &["channel", "state", "language", "outcome"],
    open: Some("state = 'open'"),
    pending: None,
};

static APPEALS: Spec = Spec {
    name: "appeals",
    columns: &[
        "channel",
        "kind",
        "state",
        "language",
        "form",
        "category",
        "decision",
        "reg_no",
        "corruption_signs",
    ],
    open: Some("state NOT IN ('closed', 'voided')"),
    pending: Some("state NOT IN ('answered', 'closed', 'voided')"),
};

static RECEPTIONS: Spec = Spec {
    name: "receptions",
    columns: &["state", "mode", "reason"],
    open: Some("state IN ('planned', 'open')"),
    pending: Some("state IN ('planned', 'open')"),
};

static MEASURES: Spec = Spec {
    name: "measures",
    columns: &["kind", "state", "audience", "reason", "directive"],
    open: Some("state = 'planned'"),
    pending: Some("state = 'planned'"),
};

static ACTIVITIES: Spec = Spec {
    name: "activities",
    columns: &["channel", "kind", "state", "language", "audience"],
    open: Some("state = 'planned'"),
    pending: Some("state = 'planned'"),
};

static DIRECTIVES: Spec = Spec {
    name: "directives",
    columns: &["state", "subject"],
    open: Some("state <> 'accepted'"),
    pending: Some("state <> 'accepted'"),
};

static CORRECTIONS: Spec =
    Spec { name: "corrections", columns: &["field", "reason"], open: None, pending: None };

static OPENINGS: Spec = Spec { name: "openings", columns: &["purpose"], open: None, pending: None };

impl Column {
    /// The column's name in every table that has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::Month => "month",
            Self::Channel => "channel",
            Self::Kind => "kind",
            Self::State => "state",
            Self::Language => "language",
            Self::Form => "form",
            Self::Audience => "audience",
            Self::Category => "category",
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::Reason => "reason",
            Self::Mode => "mode",
            Self::Subject => "subject",
            Self::Field => "field",
            Self::Purpose => "purpose",
        }
    }
}

impl Spec {
    /// The column for a grouping.
    pub(super) fn grouping(&self, column: Column) -> Result<&'static str, Error> {
        let name = column.name();
        let everywhere = matches!(column, Column::Office | Column::Month);
        if everywhere || self.columns.contains(&name) {
            Ok(name)
        } else {
            Err(Error::Grouping { table: self.name, column: name })
        }
    }

    /// Adds the conditions of `filter`, each beginning with `AND`.
    pub(super) fn restrict(
        &self,
        sql: &mut QueryBuilder<Sqlite>,
        filter: &Filter,
    ) -> Result<(), Error> {
        if let Some(office) = &filter.office {
            sql.push(" AND office = ").push_bind(office.as_str());
        }
        if let Some(stream) = filter.stream {
            sql.push(" AND id = ").push_bind(Uuid::from_bytes(stream));
        }
        if let Some(from) = filter.from {
            sql.push(" AND at >= ").push_bind(from);
        }
        if let Some(to) = filter.to {
            sql.push(" AND at < ").push_bind(to);
        }
        let codes = [
            ("channel", &filter.channel),
            ("kind", &filter.kind),
            ("state", &filter.state),
            ("language", &filter.language),
            ("form", &filter.form),
            ("audience", &filter.audience),
            ("reg_no", &filter.reg_no),
        ];
        for (field, code) in codes {
            if let Some(code) = code {
                self.compare(sql, field)?.push_bind(code.as_str());
            }
        }
        if let Some(signs) = filter.corruption_signs {
            self.compare(sql, "corruption_signs")?.push_bind(signs);
        }
        if let Some(directive) = filter.directive {
            self.compare(sql, "directive")?.push_bind(Uuid::from_bytes(directive));
        }
        if let Some(today) = filter.overdue {
            let refusal = Error::Filter { table: self.name, field: "overdue" };
            let pending = self.pending.ok_or(refusal)?;
            sql.push(" AND due_on <> '' AND due_on < ").push_bind(today.to_string());
            sql.push(" AND ").push(pending);
        }
        Ok(())
    }

    /// Begins a comparison of the column `field`, if the table has it.
    fn compare<'q>(
        &self,
        sql: &'q mut QueryBuilder<Sqlite>,
        field: &'static str,
    ) -> Result<&'q mut QueryBuilder<Sqlite>, Error> {
        if !self.columns.contains(&field) {
            return Err(Error::Filter { table: self.name, field });
        }
        Ok(sql.push(" AND ").push(field).push(" = "))
    }
}
