//! Which role may call what: the table against the contract and against real calls, and the audit log of those that
//! are refused.

use std::collections::BTreeSet;

use eads_domain::operator::{Operator as Person, Role, Roles};
use eads_edge::grpc::OperatorApi;
use eads_proto::v1;
use eads_service::authorise::{METHODS, authorise};
use eads_tests::house::House;
use eads_tests::operator::{Operator, code};
use futures::TryStreamExt as _;
use prost::Message as _;
use tonic::{Response, Status, Streaming};

/// Every method of the operator interface as the contract has it: name, and path on the wire.
fn contract() -> Vec<(String, String)> {
    let set = prost_types::FileDescriptorSet::decode(eads_proto::DESCRIPTORS).unwrap();
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            if OperatorApi::SERVICES.contains(&name.as_str()) {
                let of = |method: &prost_types::MethodDescriptorProto| method.name().to_owned();
                methods.extend(service.method.iter().map(|one| (of(one), format!("/{name}/{}", one.name()))));
            } else {
                assert_eq!(name, "eads.v1.PeerService", "a service that no listener serves");
            }
        }
    }
    methods
}

fn allowed(method: &str) -> &'static [Role] {
    METHODS.iter().find(|(name, _)| *name == method).unwrap_or_else(|| panic!("{method} is not in the table")).1
}

#[test]
fn the_table_has_every_method_of_the_contract_once_and_no_other() {
    let contract = contract();
    let (named, listed): (BTreeSet<&str>, BTreeSet<&str>) =
        (contract.iter().map(|(name, _)| name.as_str()).collect(), METHODS.iter().map(|(name, _)| *name).collect());
    assert_eq!(named, listed);
    assert_eq!((contract.len(), METHODS.len()), (named.len(), listed.len()), "a name stands for one method");
}

#[test]
fn every_set_of_roles_may_call_what_one_of_them_may_and_nothing_else() {
    let sets = (0..1u8 << Role::ALL.len()).map(|set| -> Roles {
        Role::ALL.into_iter().enumerate().filter(|(bit, _)| set & 1 << bit != 0).map(|(_, role)| role).collect()
    });
    for roles in sets {
        let person = person(roles);
        for (method, allowed) in METHODS {
            let refusal = authorise(&person, method).err().map(|error| eads_domain::code::Coded::code(&error).as_str());
            let expected = allowed.iter().all(|role| !roles.contains(*role)).then_some("ROLE_REQUIRED");
            assert_eq!(refusal, expected, "{roles} calls {method}");
        }
        for unknown in ["", "getstatus", "GetStatus ", "Sync", "PostReceipts", "Check"] {
            let refusal = authorise(&person, unknown).unwrap_err();
            assert_eq!(eads_domain::code::Coded::code(&refusal).as_str(), "METHOD_UNKNOWN", "{unknown}");
        }
    }
}

/// As a certificate would name somebody.
fn person(roles: Roles) -> Person {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "officer");
    params.subject_alt_names = vec![rcgen::SanType::URI("spiffe://id.eads/operator/x".try_into().unwrap())];
    let certificate = params.self_signed(&key).unwrap();
    Person { roles, ..Person::from_certificate(certificate.der()).unwrap() }
}

/// The code of a method's refusal; empty if the caller was let in.
async fn call(operator: &Operator, path: &str) -> String {
    operator.call_empty(path).await.map_or_else(|status| code(&status).to_owned(), |()| String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_for_the_roles_of_its_line_and_no_other() {
    let house = House::new();
    let id = house.member("ID").await;
    let contract = contract();
    let mut expected = 0;
    for role in Role::ALL {
        let operator = id.hire(&format!("only-{role}"), &[role.as_str()]).await;
        for (method, path) in &contract {
            let (refusal, may) = (call(&operator, path).await, allowed(method).contains(&role));
            assert_eq!(refusal != "ROLE_REQUIRED", may, "{role} calls {method}: {refusal}");
            assert!(!refusal.starts_with("OFFICER_UN") && refusal != "METHOD_UNKNOWN", "{method}: {refusal}");
            expected += usize::from(!may);
        }
    }
    // All roles but the right ones are as good as none.
    let wrong = |method: &str| -> Vec<&str> {
        Role::ALL.iter().filter(|role| !allowed(method).contains(role)).map(|role| role.as_str()).collect()
    };
    let sets: BTreeSet<Vec<&str>> = contract.iter().map(|(method, _)| wrong(method)).collect();
    for (at, set) in sets.iter().filter(|set| !set.is_empty()).enumerate() {
        let operator = id.hire(&format!("only-wrong-{at}"), set).await;
        for (method, path) in contract.iter().filter(|(method, _)| wrong(method) == *set) {
            assert_eq!(call(&operator, path).await, "ROLE_REQUIRED", "{} calls {method}", set.join(","));
            expected += 1;
        }
    }
    // Each refusal is in the audit log with who it was.
    let refusals = id.audit_entries().await;
    let refused: Vec<_> = refusals.iter().filter(|entry| entry.result == "ROLE_REQUIRED").collect();
    assert_eq!(refused.len(), expected);
    assert!(refused.iter().all(|entry| entry.actor.starts_with("operator:only-") && !entry.roles.is_empty()));

    // What is in no contract is not there for anybody, and neither is what peers ask.
    let administrator = id.operator("admin-1");
    for path in ["/eads.v1.NodeService/Destroy", "/eads.v1.PeerService/Sync", "/eads.v2.NodeService/GetStatus"] {
        let refusal = administrator.call_empty(path).await.unwrap_err();
        assert_eq!(refusal.code(), tonic::Code::Unimplemented, "{path}");
    }
}

async fn all<T>(answer: Result<Response<Streaming<T>>, Status>) -> Result<(), Status> {
    answer?.into_inner().try_for_each(|_| std::future::ready(Ok(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_is_readable_for_auditors_only() {
    let house = House::new();
    let id = house.member("ID").await;
    id.search_for(eads_tests::questions::name("Somebody Asked")).await.unwrap();
    let entries = id.audit_entries().await;
    let search = entries.iter().find(|entry| entry.operation == "Search" && entry.kind == "intent").unwrap();
    assert!(search.query_text.contains("Somebody Asked"));
    let request = v1::ListAuditEntriesRequest::default();
    for other in ["admin-1", "officer", "issuer", "approver"] {
        let answer = id.operator(other).audit().list_audit_entries(request.clone()).await;
        let refusal = all(answer).await.unwrap_err();
        assert_eq!(code(&refusal), "ROLE_REQUIRED", "{other}");
    }
    // That somebody looked is written down too.
    assert!(id.audit_entries().await.iter().any(|entry| entry.operation == "ListAuditEntries"));
}
