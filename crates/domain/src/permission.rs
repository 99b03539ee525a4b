//! Who may do what: one table of role and request, and where a request may be made at all.

use std::fmt;
use std::str::FromStr;

use crate::access::AccessRequest;
use crate::appeal::AppealRequest;
use crate::code::Post;
use crate::ids::PersonId;
use crate::office::OfficeCode;
use crate::refusal::{Refusal, RefusalCode};
use crate::request::Request;
use crate::task::TaskRequest;

/// The role a certificate gives a person, or the node acting by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Records the office's daily work.
    Clerk,
    /// Leads the office's department: also assigns, approves, voids.
    Chief,
    /// Runs the machine: sees logs with their open bodies (codes, dates, pseudonyms), tables and
    /// states; records no work and opens no sealed part.
    Operator,
    /// Works in the national department: the centre's daily work and directives.
    National,
    /// Reads and checks; records nothing but the openings of sealed parts.
    Auditor,
    /// The node itself, for facts no person makes (a task delivered).
    Node,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Clerk, Self::Chief, Self::Operator, Self::National, Self::Auditor, Self::Node];

    /// The name, as in certificates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clerk => "clerk",
            Self::Chief => "chief",
            Self::Operator => "operator",
            Self::National => "national",
            Self::Auditor => "auditor",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a role; use clerk, chief, operator, national or auditor")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(RoleError)
    }
}

/// Who makes a request: from an authenticated certificate, never from the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The person's pseudonym.
    pub person: PersonId,
    /// The post the person acts from.
    pub post: Post,
    /// The role.
    pub role: Role,
    /// The office the person belongs to.
    pub office: OfficeCode,
}

/// Where a kind of request may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    Centre,
    Region,
}

const DAILY: &[Role] = &[Role::Clerk, Role::Chief, Role::National];
const LEADING: &[Role] = &[Role::Chief, Role::National];
const NATIONAL: &[Role] = &[Role::National];
const REGIONAL: &[Role] = &[Role::Clerk, Role::Chief];

/// The table: roles and place for every request.
fn rights(request: &Request) -> (&'static [Role], Place) {
    match request {
        Request::Appeal(
            AppealRequest::Assign(_) | AppealRequest::Approve(_) | AppealRequest::Void(_),
        ) => (LEADING, Place::Anywhere),
        Request::Contact(_)
        | Request::Appeal(_)
        | Request::Reception(_)
        | Request::Measure(_)
        | Request::Activity(_) => (DAILY, Place::Anywhere),
        Request::Directive(_) | Request::Dispatch(_) | Request::Classifier(_) => {
            (NATIONAL, Place::Centre)
        }
        Request::Office(_) => (&[Role::National, Role::Operator], Place::Centre),
        Request::Task(TaskRequest::Deliver(_)) => (&[Role::Node], Place::Region),
        Request::Task(TaskRequest::Acknowledge(_)) => (&[Role::Chief], Place::Region),
        Request::Task(TaskRequest::Report(_)) => (REGIONAL, Place::Region),
        Request::Access(AccessRequest::Open(_)) => {
            (&[Role::Clerk, Role::Chief, Role::National, Role::Auditor], Place::Anywhere)
        }
    }
}

/// Whether a role may make such a request, wherever it may be made.
pub fn permits(role: Role, request: &Request) -> bool {
    rights(request).0.contains(&role)
}

/// Checks actor, role and place.
///
/// # Errors
/// `not_permitted`, saying which roles and which office may.
pub fn check(actor: &Actor, office: &OfficeCode, request: &Request) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(RefusalCode::NotPermitted, message));
    if actor.office != *office {
        return refuse(format!(
            "a person of another office cannot record here; use a certificate of {office}"
        ));
    }
    let (roles, place) = rights(request);
    let here = match place {
        Place::Anywhere => true,
        Place::Centre => office.is_centre(),
        Place::Region => !office.is_centre(),
    };
    if !here {
        let where_to = if place == Place::Centre { "the centre" } else { "a regional office" };
        return refuse(format!("{} is only for {where_to}", request.name()));
    }
    if !roles.contains(&actor.role) {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        return refuse(format!(
            "role {} may not do {}; it takes: {}",
            actor.role,
            request.name(),
            names.join(", ")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::OpenRecords;
    use crate::appeal::ApproveDecision;
    use crate::contact::GiveConsultation;
    use crate::task::AcknowledgeTask;

    fn actor(role: Role, office: &str) -> Actor {
        Actor {
            person: PersonId::from([1; 16]),
            post: Post::new("post").unwrap(),
            role,
            office: office.parse().unwrap(),
        }
    }

    #[test]
    fn roles() {
        let consult: Request = GiveConsultation { topic: "other".parse().unwrap() }.into();
        let approve: Request = ApproveDecision {}.into();
        let open: Request =
            OpenRecords { events: vec![], purpose: "audit".parse().unwrap() }.into();
        assert!(permits(Role::Clerk, &consult));
        assert!(!permits(Role::Clerk, &approve));
        assert!(permits(Role::Chief, &approve));
        for role in [Role::Operator, Role::Auditor, Role::Node] {
            assert!(!permits(role, &consult), "{role}");
            assert!(!permits(role, &approve), "{role}");
        }
        assert!(permits(Role::Auditor, &open));
        assert!(!permits(Role::Operator, &open));
    }

    #[test]
    fn place_and_office() {
        let centre: OfficeCode = "KZ".parse().unwrap();
        let region: OfficeCode = "KZ-75".parse().unwrap();
        let acknowledge: Request = AcknowledgeTask {}.into();
        assert!(check(&actor(Role::Chief, "KZ-75"), &region, &acknowledge).is_ok());
        let refusal = check(&actor(Role::Chief, "KZ"), &centre, &acknowledge).unwrap_err();
        assert!(refusal.message.contains("regional office"));
        let refusal = check(&actor(Role::Chief, "KZ-71"), &region, &acknowledge).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NotPermitted);
        let refusal = check(&actor(Role::Clerk, "KZ-75"), &region, &acknowledge).unwrap_err();
        assert!(refusal.message.contains("it takes: chief"));
    }

    #[test]
    fn role_names() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("judge".parse::<Role>(), Err(RoleError));
    }
}
