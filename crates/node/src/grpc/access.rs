//! Who is asking, and whether the question is for them.

use domain::{OfficeCode, Role};
use identity::Subject;
use tonic::{Extensions, Status};
use uuid::Uuid;
use wire::status::Fault;

use crate::grpc::listener::Caller;
use crate::office::Office;

/// A person of this office, known by certificate.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Pseudonym: the only name of the person that a log ever holds.
    pub id: Uuid,
    /// What the person may do.
    pub role: Role,
}

/// The person behind a request. Only people of this very office are served.
pub fn person(extensions: &Extensions, office: &Office) -> Result<Principal, Status> {
    match subject(extensions)? {
        Subject::Person { office: theirs, id, role } if is_same(theirs, office) => {
            Ok(Principal { id: *id, role: domain_role(*role) })
        }
        Subject::Person { office: theirs, .. } => Err(not_permitted(format!(
            "this node serves people of {}; the certificate is for {}",
            office.code,
            theirs.to_ascii_uppercase()
        ))),
        Subject::Node { .. } => {
            Err(not_permitted("this service is for people; the certificate is a node's"))
        }
    }
}

/// The person behind a request, whose role must be one of `roles`.
pub fn person_with(
    extensions: &Extensions,
    office: &Office,
    roles: &[Role],
) -> Result<Principal, Status> {
    let principal = person(extensions, office)?;
    if roles.contains(&principal.role) {
        return Ok(principal);
    }
    let wanted: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    Err(not_permitted(format!(
        "this needs the role {}; the certificate says {}",
        wanted.join(" or "),
        principal.role.as_str()
    )))
}

/// The office whose node is calling.
pub fn node(extensions: &Extensions) -> Result<OfficeCode, Status> {
    match subject(extensions)? {
        Subject::Node { office } => office
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| not_permitted("the certificate names no valid office")),
        Subject::Person { .. } => {
            Err(not_permitted("this service is for offices' nodes; the certificate is a person's"))
        }
    }
}

fn subject(extensions: &Extensions) -> Result<&Subject, Status> {
    extensions.get::<Caller>().map(|caller| caller.0.as_ref()).ok_or_else(|| {
        let message = "the connection carries no certificate".to_owned();
        Fault::Unauthenticated { message }.into()
    })
}

fn not_permitted(message: impl Into<String>) -> Status {
    Fault::NotPermitted { message: message.into() }.into()
}

fn is_same(theirs: &str, office: &Office) -> bool {
    theirs.eq_ignore_ascii_case(office.code.as_str())
}

fn domain_role(role: identity::Role) -> Role {
    match role {
        identity::Role::Clerk => Role::Clerk,
        identity::Role::Chief => Role::Chief,
        identity::Role::Operator => Role::Operator,
        identity::Role::National => Role::National,
        identity::Role::Auditor => Role::Auditor,
    }
}
