-- Tables folded from the logs. The text keeps to what SQLite and PostgreSQL both understand.
-- Codes, days (YYYY-MM-DD), numbers and pseudonyms only: no personal data, no free text.
-- `at` is the instant a table is filtered, paged and counted by; `month` is that of the same
-- instant in the office's zone. (log, epoch, seq) is the newest record of the row's stream.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE positions (
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    PRIMARY KEY (log, epoch)
);

-- Records that are in the positions but in no other table, counted by why.
CREATE TABLE skipped (
    log TEXT NOT NULL,
    reason TEXT NOT NULL,
    type_code BIGINT NOT NULL,
    records BIGINT NOT NULL,
    PRIMARY KEY (log, reason, type_code)
);

CREATE TABLE contacts (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    channel TEXT NOT NULL,
    line TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    closed_at BIGINT,
    consultations BIGINT NOT NULL DEFAULT 0,
    appeal UUID,
    appeals BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office)
);
CREATE INDEX contacts_at ON contacts (at, office, id);

CREATE TABLE appeals (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    zone TEXT NOT NULL,
    reg_no TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL,
    form TEXT NOT NULL,
    applicant_character TEXT NOT NULL,
    applicants BIGINT NOT NULL,
    anonymous BOOLEAN NOT NULL,
    language TEXT NOT NULL,
    channel TEXT NOT NULL,
    contact UUID,
    state TEXT NOT NULL,
    registered_on TEXT NOT NULL DEFAULT '',
    due_on TEXT NOT NULL DEFAULT '',
    category TEXT NOT NULL DEFAULT '',
    severity TEXT NOT NULL DEFAULT '',
    urgency TEXT NOT NULL DEFAULT '',
    corruption_signs BOOLEAN NOT NULL DEFAULT FALSE,
    judicial_matter BOOLEAN NOT NULL DEFAULT FALSE,
    executor TEXT NOT NULL DEFAULT '',
    decision TEXT NOT NULL DEFAULT '',
    answer_nature TEXT NOT NULL DEFAULT '',
    answer_channel TEXT NOT NULL DEFAULT '',
    answer_language TEXT NOT NULL DEFAULT '',
    answered_at BIGINT,
    closed_at BIGINT,
    closure TEXT NOT NULL DEFAULT '',
    void_reason TEXT NOT NULL DEFAULT '',
    corrections BIGINT NOT NULL DEFAULT 0,
    -- Versions of the facts that the present values come from: a correction names the fact it
    -- corrects, and changes the present value only if that fact is still the one behind it.
    received_version BIGINT NOT NULL,
    registered_version BIGINT,
    triaged_version BIGINT,
    decided_version BIGINT,
    answered_version BIGINT,
    closed_version BIGINT,
    version BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office)
);
CREATE INDEX appeals_at ON appeals (at, office, id);
CREATE INDEX appeals_reg_no ON appeals (reg_no);

CREATE TABLE receptions (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    post TEXT NOT NULL,
    due_on TEXT NOT NULL,
    state TEXT NOT NULL,
    mode TEXT NOT NULL DEFAULT '',
    visitors BIGINT NOT NULL DEFAULT 0,
    received BIGINT NOT NULL DEFAULT 0,
    held_at BIGINT,
    closed_at BIGINT,
    reason TEXT NOT NULL DEFAULT '',
    replacement_on TEXT NOT NULL DEFAULT '',
    version BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office)
);
CREATE INDEX receptions_at ON receptions (at, office, id);

CREATE TABLE measures (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    kind TEXT NOT NULL,
    audience TEXT NOT NULL,
    directive UUID,
    state TEXT NOT NULL,
    due_on TEXT NOT NULL,
    held_at BIGINT,
    participants BIGINT NOT NULL DEFAULT 0,
    minutes BIGINT NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    version BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office)
);
CREATE INDEX measures_at ON measures (at, office, id);

CREATE TABLE activities (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    audience TEXT NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    due_on TEXT NOT NULL,
    held_at BIGINT,
    target_reach BIGINT NOT NULL,
    reach BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office)
);
CREATE INDEX activities_at ON activities (at, office, id);

-- What the directive's own stream says (log `kz`), for every addressee at once.
CREATE TABLE directive_heads (
    id UUID NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    subject TEXT NOT NULL,
    order_number TEXT NOT NULL,
    due_on TEXT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL
);

-- One row per directive and office, made by whichever log comes first. The columns of the
-- dispatch (log `kz/<office>`) and of the task (the office's own log) are disjoint, so no order of
-- the logs can change the row.
CREATE TABLE directive_offices (
    id UUID NOT NULL,
    office TEXT NOT NULL,
    dispatch UUID,
    dispatch_at BIGINT,
    dispatch_month TEXT,
    dispatch_subject TEXT,
    dispatch_order_number TEXT,
    dispatch_due_on TEXT,
    accepted_report BIGINT,
    accepted_at BIGINT,
    returned_report BIGINT,
    returned_at BIGINT,
    remarks TEXT,
    dispatch_version BIGINT,
    dispatch_recorded_at BIGINT,
    dispatch_log TEXT,
    dispatch_epoch BIGINT,
    dispatch_seq BIGINT,
    delivered_at BIGINT,
    task_due_on TEXT,
    acknowledged_at BIGINT,
    report BIGINT,
    reported_at BIGINT,
    task_version BIGINT,
    task_recorded_at BIGINT,
    task_log TEXT,
    task_epoch BIGINT,
    task_seq BIGINT,
    PRIMARY KEY (id, office)
);
CREATE INDEX directive_offices_dispatch ON directive_offices (dispatch);

CREATE VIEW directives AS
SELECT
    o.office AS office,
    o.id AS id,
    COALESCE(h.at, o.dispatch_at, 0) AS at,
    COALESCE(h.month, o.dispatch_month, '') AS month,
    COALESCE(o.dispatch_subject, h.subject, '') AS subject,
    COALESCE(o.dispatch_order_number, h.order_number, '') AS order_number,
    COALESCE(o.dispatch_due_on, h.due_on, o.task_due_on, '') AS due_on,
    CASE
        WHEN o.accepted_at IS NOT NULL THEN 'accepted'
        WHEN o.returned_at IS NOT NULL AND COALESCE(o.report, 0) <= o.returned_report
            THEN 'returned'
        WHEN o.reported_at IS NOT NULL THEN 'reported'
        WHEN o.acknowledged_at IS NOT NULL THEN 'acknowledged'
        WHEN o.delivered_at IS NOT NULL THEN 'delivered'
        ELSE 'issued'
    END AS state,
    COALESCE(h.at, o.dispatch_at) AS issued_at,
    o.delivered_at AS delivered_at,
    o.acknowledged_at AS acknowledged_at,
    o.report AS report,
    o.reported_at AS reported_at,
    o.accepted_report AS accepted_report,
    o.accepted_at AS accepted_at,
    o.returned_report AS returned_report,
    o.returned_at AS returned_at,
    COALESCE(o.remarks, '') AS remarks,
    COALESCE(o.dispatch_version, 0) AS version,
    COALESCE(o.task_version, 0) AS task_version,
    CASE WHEN COALESCE(o.task_recorded_at, -1) > COALESCE(o.dispatch_recorded_at, -1)
        THEN o.task_log ELSE COALESCE(o.dispatch_log, h.log, '') END AS log,
    CASE WHEN COALESCE(o.task_recorded_at, -1) > COALESCE(o.dispatch_recorded_at, -1)
        THEN o.task_epoch ELSE COALESCE(o.dispatch_epoch, h.epoch, 0) END AS epoch,
    CASE WHEN COALESCE(o.task_recorded_at, -1) > COALESCE(o.dispatch_recorded_at, -1)
        THEN o.task_seq ELSE COALESCE(o.dispatch_seq, h.seq, 0) END AS seq
FROM directive_offices o LEFT JOIN directive_heads h ON h.id = o.id;

-- Values and kinds of evidence of every report of a task.
CREATE TABLE reports (
    id UUID NOT NULL,
    office TEXT NOT NULL,
    report BIGINT NOT NULL,
    item TEXT NOT NULL,
    code TEXT NOT NULL,
    value BIGINT,
    PRIMARY KEY (id, office, report, item, code)
);

CREATE TABLE offices (
    code TEXT NOT NULL PRIMARY KEY,
    name_kk TEXT NOT NULL,
    name_ru TEXT NOT NULL,
    name_en TEXT NOT NULL,
    zone TEXT NOT NULL,
    log_key TEXT NOT NULL,
    witness_key TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL
);

CREATE TABLE classifiers (
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    code TEXT NOT NULL,
    place BIGINT NOT NULL,
    name_kk TEXT NOT NULL,
    name_ru TEXT NOT NULL,
    name_en TEXT NOT NULL,
    PRIMARY KEY (id, version, code)
);

CREATE TABLE corrections (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    corrected_version BIGINT NOT NULL,
    field TEXT NOT NULL,
    before_code TEXT,
    after_code TEXT,
    reason TEXT NOT NULL,
    actor UUID NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (id, office, version)
);

-- One row per opening of sealed parts, with how many records it showed.
CREATE TABLE openings (
    office TEXT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    month TEXT NOT NULL,
    purpose TEXT NOT NULL,
    actor UUID NOT NULL,
    records BIGINT NOT NULL,
    log TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (log, epoch, seq)
);
