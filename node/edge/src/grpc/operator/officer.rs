//! `OfficerService`: who of this member's own people may work here.

use eads_domain::operator::{OperatorName, Roles};
use eads_proto::v1;
use eads_proto::v1::officer_service_server::OfficerService;
use eads_service::officers::{AwaitedOfficer, Enrolled, EnrolledCertificate, Enrolment, Officer};
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::refused;
use crate::grpc::finish;

#[tonic::async_trait]
impl OfficerService for OperatorApi {
    async fn enrol_officer(
        &self,
        request: Request<v1::EnrolOfficerRequest>,
    ) -> Result<Response<v1::EnrolOfficerResponse>, Status> {
        let (call, message) = self.admit("EnrolOfficer", request).await?;
        let enrolment = Enrolment {
            name: name(&message.name)?,
            roles: message.roles.join(",").parse::<Roles>().map_err(refused)?,
            request: message.request,
            days: message.days,
        };
        let node = self.node.clone();
        let enrolled = finish(async move { node.enrol_officer(&call, enrolment).await }).await?;
        let certificate = match enrolled {
            Enrolled::AwaitingSecond => Vec::new(),
            Enrolled::Certified(der) => der,
        };
        Ok(Response::new(v1::EnrolOfficerResponse { certificate, authority: self.authority() }))
    }

    async fn renew_officer(
        &self,
        request: Request<v1::RenewOfficerRequest>,
    ) -> Result<Response<v1::RenewOfficerResponse>, Status> {
        let (call, message) = self.admit("RenewOfficer", request).await?;
        let node = self.node.clone();
        let certificate =
            finish(async move { node.renew_officer(&call, &message.request, message.days).await }).await?;
        Ok(Response::new(v1::RenewOfficerResponse { certificate, authority: self.authority() }))
    }

    async fn list_officers(
        &self,
        request: Request<v1::ListOfficersRequest>,
    ) -> Result<Response<v1::ListOfficersResponse>, Status> {
        let (call, _) = self.admit("ListOfficers", request).await?;
        let node = self.node.clone();
        let list = finish(async move { node.list_officers(&call).await }).await?;
        Ok(Response::new(v1::ListOfficersResponse {
            officers: list.officers.iter().map(|one| officer(one, false)).collect(),
            awaited: list.awaited.into_iter().map(awaited).collect(),
        }))
    }

    async fn get_officer(
        &self,
        request: Request<v1::GetOfficerRequest>,
    ) -> Result<Response<v1::GetOfficerResponse>, Status> {
        let (call, message) = self.admit("GetOfficer", request).await?;
        let name = name(&message.name)?;
        let node = self.node.clone();
        let found = finish(async move { node.get_officer(&call, &name).await }).await?;
        Ok(Response::new(v1::GetOfficerResponse { officer: Some(officer(&found, true)), authority: self.authority() }))
    }

    async fn suspend_officer(
        &self,
        request: Request<v1::SuspendOfficerRequest>,
    ) -> Result<Response<v1::SuspendOfficerResponse>, Status> {
        let (call, message) = self.admit("SuspendOfficer", request).await?;
        let (name, reason) = (name(&message.name)?, convert::reason(&message.reason)?);
        let node = self.node.clone();
        finish(async move { node.suspend_officer(&call, &name, &reason).await }).await?;
        Ok(Response::new(v1::SuspendOfficerResponse {}))
    }

    async fn resume_officer(
        &self,
        request: Request<v1::ResumeOfficerRequest>,
    ) -> Result<Response<v1::ResumeOfficerResponse>, Status> {
        let (call, message) = self.admit("ResumeOfficer", request).await?;
        let (name, reason) = (name(&message.name)?, convert::reason(&message.reason)?);
        let node = self.node.clone();
        finish(async move { node.resume_officer(&call, &name, &reason).await }).await?;
        Ok(Response::new(v1::ResumeOfficerResponse {}))
    }

    async fn revoke_officer(
        &self,
        request: Request<v1::RevokeOfficerRequest>,
    ) -> Result<Response<v1::RevokeOfficerResponse>, Status> {
        let (call, message) = self.admit("RevokeOfficer", request).await?;
        let (name, reason) = (name(&message.name)?, convert::reason(&message.reason)?);
        let node = self.node.clone();
        finish(async move { node.revoke_officer(&call, &name, &reason).await }).await?;
        Ok(Response::new(v1::RevokeOfficerResponse {}))
    }
}

impl OperatorApi {
    fn authority(&self) -> Vec<u8> {
        self.node.card().card.card().operator_anchor.as_der().to_vec()
    }
}

fn name(text: &str) -> Result<OperatorName, Status> {
    text.parse().map_err(refused)
}

fn roles(roles: Roles) -> Vec<String> {
    roles.iter().map(|role| role.to_string()).collect()
}

fn officer(officer: &Officer, with_der: bool) -> v1::Officer {
    v1::Officer {
        name: officer.name.to_string(),
        state: officer.state.as_str().to_owned(),
        since: officer.since.as_unix(),
        by: officer.by.clone(),
        reason: officer.reason.clone(),
        last_seen: officer.last_seen().map_or(0, |seen| seen.as_unix()),
        certificates: officer.certificates.iter().map(|one| certificate(one, with_der)).collect(),
    }
}

fn certificate(one: &EnrolledCertificate, with_der: bool) -> v1::OfficerCertificate {
    v1::OfficerCertificate {
        serial: one.operator.serial.to_string(),
        roles: roles(one.operator.roles),
        not_before: one.operator.not_before.as_unix(),
        not_after: one.operator.not_after.as_unix(),
        state: one.state.as_str().to_owned(),
        enrolled: one.enrolled.as_unix(),
        by: one.by.clone(),
        certificate: if with_der { one.der.clone() } else { Vec::new() },
    }
}

fn awaited(one: AwaitedOfficer) -> v1::AwaitedOfficer {
    v1::AwaitedOfficer {
        name: one.name.to_string(),
        roles: one.roles.split(',').map(str::to_owned).collect(),
        administrator: one.administrator.to_string(),
        at: one.at.as_unix(),
    }
}
