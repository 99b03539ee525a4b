//! What `grpc.health.v1` says: of the node as a whole, and of each service by its name.
//!
//! All serve until the node leaves, but the queries: they do not while the tables are made anew
//! or a damaged record keeps them from being whole, because every query is refused then. Who enters
//! facts need not care.

use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use wire::pb::command::v1::command_service_server::CommandServiceServer;
use wire::pb::evidence::v1::evidence_service_server::EvidenceServiceServer;
use wire::pb::operator::v1::operator_service_server::OperatorServiceServer;
use wire::pb::query::v1::query_service_server::QueryServiceServer;
use wire::pb::replication::v1::replication_service_server::ReplicationServiceServer;

use crate::grpc::command::Commands;
use crate::grpc::evidence::Proofs;
use crate::grpc::operator::Operator;
use crate::grpc::query::Queries;
use crate::grpc::replication::Replication;
use crate::office::Office;

const QUERY: &str = QueryServiceServer::<Queries>::NAME;

/// Health of one node.
pub struct Health {
    reporter: HealthReporter,
    /// Names of what serves until the node leaves; the empty one is the node.
    steady: Vec<&'static str>,
    tables: watch::Receiver<bool>,
}

impl Health {
    /// Says how it is now. [`Health::tell`] is to follow.
    pub async fn begin(office: &Office, reporter: HealthReporter) -> Health {
        let command = CommandServiceServer::<Commands>::NAME;
        let (operator, evidence) =
            (OperatorServiceServer::<Operator>::NAME, EvidenceServiceServer::<Proofs>::NAME);
        let mut steady = vec!["", command, operator, evidence];
        if office.code.is_centre() {
            steady.push(ReplicationServiceServer::<Replication>::NAME);
        }
        let mut health = Health { reporter, steady, tables: office.tables.watch() };
        for name in &health.steady {
            health.reporter.set_service_status(*name, ServingStatus::Serving).await;
        }
        health.tell_queries().await;
        health
    }

    /// Tells every change until the node leaves; then nothing serves.
    pub async fn tell(mut self, leaving: impl Future<Output = ()>) {
        tokio::pin!(leaving);
        loop {
            tokio::select! {
                () = &mut leaving => break,
                changed = self.tables.changed() => match changed {
                    Ok(()) => self.tell_queries().await,
                    Err(_) => break,
                },
            }
        }
        for name in self.steady.into_iter().chain([QUERY]) {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }

    async fn tell_queries(&mut self) {
        let status = match *self.tables.borrow_and_update() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        self.reporter.set_service_status(QUERY, status).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
    use tonic_health::pb::health_server::Health as _;
    use tonic_health::server::HealthService;

    use super::*;
    use crate::project;
    use crate::testing::desk;

    async fn status(reporter: &HealthReporter, service: &str) -> i32 {
        let service = service.to_owned();
        let health = HealthService::from_health_reporter(reporter.clone());
        let answer = health.check(Request::new(HealthCheckRequest { service })).await;
        answer.unwrap().into_inner().status
    }

    #[tokio::test]
    async fn queries_do_not_serve_while_the_tables_are_made_and_commands_do() {
        let desk = desk("KZ-75").await;
        let reporter = HealthReporter::new();
        let health = Health::begin(&desk.office, reporter.clone()).await;
        let names = ["", "adal.command.v1.CommandService", "adal.query.v1.QueryService"];
        let now = async || {
            let mut all = Vec::new();
            for name in names {
                all.push(status(&reporter, name).await);
            }
            all
        };
        let (on, off) = (Serving as i32, NotServing as i32);
        assert_eq!(now().await, [on, on, off], "nothing is folded yet");
        let (leave, left) = oneshot::channel::<()>();
        let telling = health.tell(async { drop(left.await) });
        tokio::pin!(telling);
        project::rebuild(&desk.office, |_| {}).await.unwrap();
        assert!(futures_util::poll!(&mut telling).is_pending());
        assert_eq!(now().await, [on, on, on]);
        desk.office.tables.doubt();
        assert!(futures_util::poll!(&mut telling).is_pending());
        assert_eq!(now().await, [on, on, off]);
        leave.send(()).unwrap();
        telling.await;
        assert_eq!(now().await, [off; 3]);
    }
}
