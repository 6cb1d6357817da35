//! ITI-78, ITI-83, ITI-104 and ITI-119 over real HTTP: every answer of the profiles, every refusal earned.

use bytes::Bytes;
use chiren::config::Role;
use chiren::wire::fhir::Format;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::mpi_v3::{gateway, gateway_with};
use crate::support::Gateway;
use crate::support::mllp::{HOSPA, HOSPB};

const JSON: &str = "application/fhir+json";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    format: Format,
    resource: Value,
}

impl Answer {
    /// Severity and code of the first issue.
    fn issue(&self) -> (&str, &str) {
        let text = |pointer: &str| self.resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        (text("/issue/0/severity"), text("/issue/0/code"))
    }

    fn link(&self, relation: &str) -> Option<String> {
        let links = self.resource["link"].as_array()?;
        let link = links.iter().find(|l| l["relation"] == relation)?;
        link["url"].as_str().map(str::to_owned)
    }

    fn entries(&self) -> Vec<Value> {
        self.resource["entry"].as_array().cloned().unwrap_or_default()
    }
}

async fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(Role::Fhir).expect("a FHIR listener");
    let stream = tokio::net::TcpStream::connect(address).await.expect("the gateway listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "gw.example:8443");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::of(kind).unwrap_or_else(|| panic!("{kind}: {path}"));
    assert_eq!(kind, format.media_type(), "{path}");
    let resource: Value = match format {
        Format::Json => serde_json::from_slice(&body).expect("JSON"),
        Format::Xml => format.read(&body).expect("XML"),
    };
    if !head.status.is_success() {
        assert_eq!(resource["resourceType"], "OperationOutcome", "{path}");
        assert!(resource["issue"][0]["diagnostics"].as_str().is_some_and(|d| !d.is_empty()), "{path}");
    }
    Answer { status: head.status, headers: head.headers, format, resource }
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    ask(gateway, "GET", path, &[], "").await
}

fn patient(ids: &[(&str, &str)], family: &str, kana: &str, birth: &str) -> Value {
    let of = |script: &str, family: &str, given: &str| {
        let url = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
        json!({ "extension": [{ "url": url, "valueCode": script }], "use": "official", "family": family, "given": [given] })
    };
    let identifiers: Vec<Value> = ids
        .iter()
        .map(|(oid, value)| json!({ "system": format!("urn:oid:{oid}"), "value": value }))
        .collect();
    json!({
        "resourceType": "Patient",
        "identifier": identifiers,
        "active": true,
        "name": [of("IDE", family, "美咲"), of("SYL", kana, "ミサキ")],
        "gender": "female",
        "birthDate": birth,
        "telecom": [{ "system": "phone", "value": "054-000-0000", "use": "home" }],
        "address": [{ "use": "home", "text": "静岡県静岡市葵区1-2", "postalCode": "422-8033" }],
    })
}

fn misaki(ids: &[(&str, &str)]) -> Value {
    patient(ids, "髙橋", "タカハシ", "1988-03-02")
}

fn by(oid: &str, value: &str) -> String {
    format!("/fhir/Patient?identifier=urn:oid:{oid}%7C{value}")
}

async fn put(gateway: &Gateway, path: &str, resource: &Value) -> Answer {
    ask(gateway, "PUT", path, &[("content-type", JSON)], &resource.to_string()).await
}

async fn post(gateway: &Gateway, path: &str, resource: &Value) -> Answer {
    ask(gateway, "POST", path, &[("content-type", JSON)], &resource.to_string()).await
}

/// Values of `targetIdentifier`.
fn targets(answer: &Answer) -> Vec<String> {
    let parameters = answer.resource["parameter"].as_array().cloned().unwrap_or_default();
    let of = |p: &Value| p["valueIdentifier"]["value"].as_str().map(str::to_owned);
    parameters.iter().filter(|p| p["name"] == "targetIdentifier").filter_map(of).collect()
}

#[tokio::test]
async fn a_patient_is_fed_found_read_and_cross_referenced() {
    let gateway = gateway().await;
    let both = misaki(&[(HOSPA, "0000012345"), (HOSPB, "777")]);
    let created = put(&gateway, &by(HOSPA, "0000012345"), &both).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let location = created.headers[header::LOCATION].to_str().unwrap().to_owned();
    let updated = put(&gateway, &by(HOSPA, "0000012345"), &both).await;
    assert_eq!(updated.status, StatusCode::OK);
    assert_eq!(updated.headers[header::LOCATION].to_str().unwrap(), location);

    let path = location.strip_prefix("http://gw.example:8443").unwrap();
    let read = get(&gateway, path).await;
    assert_eq!(read.status, StatusCode::OK);
    assert_eq!(read.resource["resourceType"], "Patient");
    assert_eq!(read.resource["name"][0]["extension"][0]["valueCode"], "IDE");
    assert_eq!(read.resource["address"][0]["text"], "静岡県静岡市葵区1-2");
    assert_eq!(read.resource["birthDate"], "1988-03-02");
    assert_eq!(get(&gateway, "/fhir/Patient/0000000000").await.status, StatusCode::NOT_FOUND);

    // The usual form of the name finds her, character by character it does not.
    let found =
        get(&gateway, "/fhir/Patient?family=%E9%AB%98%E6%A9%8B&birthdate=1988-03-02&gender=female").await;
    assert_eq!((found.status, &found.resource["total"]), (StatusCode::OK, &json!(1)));
    assert_eq!(found.entries()[0]["fullUrl"], json!(location));
    assert_eq!(found.entries()[0]["search"]["mode"], "match");
    let exact = get(&gateway, "/fhir/Patient?family:exact=%E9%AB%98%E6%A9%8B&birthdate=1988").await;
    assert_eq!(exact.resource["total"], 0, "none is 200 with total 0");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let query = "given=%E7%BE%8E&telecom=054-000-0000&address-city=%E9%9D%99%E5%B2%A1%E5%B8%82&address-postalcode=422-8033";
    let by_post = ask(&gateway, "POST", "/fhir/Patient/_search", &form, query).await;
    assert_eq!(by_post.resource["total"], 1);
    let domains =
        format!("/fhir/Patient?identifier=urn:oid:{HOSPA}%7C0000012345&identifier=urn:oid:{HOSPB}%7C");
    let limited = get(&gateway, &domains).await;
    assert_eq!(
        limited.entries()[0]["resource"]["identifier"],
        json!([{ "system": format!("urn:oid:{HOSPB}"), "value": "777" }])
    );
    let id = location.rsplit('/').next().unwrap();
    assert_eq!(get(&gateway, &format!("/fhir/Patient?_id={id}")).await.resource["total"], 1);
    assert_eq!(get(&gateway, &format!("/fhir/Patient?_id={id}&active=false")).await.resource["total"], 0);
    let counted = get(&gateway, &format!("/fhir/Patient?_id={id}&_count=0")).await;
    assert_eq!((counted.resource["total"].as_u64(), counted.entries().len()), (Some(1), 0));

    // $ihe-pix both ways.
    let pix = format!("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{HOSPA}%7C0000012345");
    let all = get(&gateway, &pix).await;
    assert!(targets(&all).contains(&"777".to_owned()) && !targets(&all).contains(&"0000012345".to_owned()));
    let reference = json!({ "name": "targetId", "valueReference": { "reference": format!("Patient/{id}") } });
    assert!(all.resource["parameter"].as_array().unwrap().contains(&reference));
    let one = get(&gateway, &format!("{pix}&targetSystem=urn:oid:{HOSPB}")).await;
    assert_eq!(targets(&one), ["777"]);
    let resource = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueIdentifier": { "system": format!("urn:oid:{HOSPA}"), "value": "0000012345" } },
        { "name": "targetSystem", "valueUri": format!("urn:oid:{HOSPB}") },
    ] });
    assert_eq!(targets(&post(&gateway, "/fhir/Patient/$ihe-pix", &resource).await), ["777"]);
    let nowhere = get(&gateway, &format!("{pix}&targetSystem=urn:oid:1.2.3")).await;
    assert_eq!(
        (nowhere.status, nowhere.resource.clone()),
        (StatusCode::OK, json!({ "resourceType": "Parameters" }))
    );
}

#[tokio::test]
async fn pages_are_linked() {
    let gateway = gateway().await;
    for n in 1..=5 {
        let id = format!("P{n}");
        let who = patient(&[(HOSPA, &id)], "山本", "ヤマモト", &format!("1950-01-0{n}"));
        assert_eq!(put(&gateway, &by(HOSPA, &id), &who).await.status, StatusCode::CREATED);
    }
    let mut url = Some("/fhir/Patient?family=%E5%B1%B1%E6%9C%AC&_count=2".to_owned());
    let (mut seen, mut pages) = (vec![], 0);
    while let Some(path) = url {
        let page = get(&gateway, path.strip_prefix("http://gw.example:8443").unwrap_or(&path)).await;
        assert_eq!((page.status, &page.resource["total"]), (StatusCode::OK, &json!(5)), "{path}");
        assert!(page.link("self").is_some());
        seen.extend(page.entries().iter().map(|e| e["fullUrl"].as_str().unwrap().to_owned()));
        url = page.link("next");
        pages += 1;
    }
    seen.sort();
    seen.dedup();
    assert_eq!((pages, seen.len()), (3, 5), "nobody twice, nobody missing");
    let gone = get(&gateway, "/fhir/Patient?_page=nobody&_from=3").await;
    assert_eq!((gone.status, gone.issue()), (StatusCode::GONE, ("error", "expired")));
}

#[tokio::test]
async fn a_merge_is_a_put_on_the_subsumed_id() {
    let gateway = gateway().await;
    for id in ["OLD1", "NEW1"] {
        assert_eq!(put(&gateway, &by(HOSPA, id), &misaki(&[(HOSPA, id)])).await.status, StatusCode::CREATED);
    }
    let replaced = |other: Value| {
        let mut resource = misaki(&[(HOSPA, "OLD1")]);
        resource["active"] = json!(false);
        resource["link"] = json!([{ "type": "replaced-by", "other": other }]);
        resource
    };
    let system = format!("urn:oid:{HOSPA}");
    let itself = json!({ "identifier": { "system": system, "value": "OLD1" } });
    let same = put(&gateway, &by(HOSPA, "OLD1"), &replaced(itself)).await;
    assert_eq!((same.status, same.issue().1), (StatusCode::UNPROCESSABLE_ENTITY, "business-rule"));
    let elsewhere = json!({ "identifier": { "system": format!("urn:oid:{HOSPB}"), "value": "X" } });
    let other = put(&gateway, &by(HOSPA, "OLD1"), &replaced(elsewhere)).await;
    assert_eq!((other.status, other.issue().1), (StatusCode::UNPROCESSABLE_ENTITY, "business-rule"));
    let mut half = replaced(json!({ "identifier": { "system": system, "value": "NEW1" } }));
    half["active"] = json!(true);
    assert_eq!(put(&gateway, &by(HOSPA, "OLD1"), &half).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut off = misaki(&[(HOSPA, "OLD1")]);
    off["active"] = json!(false);
    assert_eq!(put(&gateway, &by(HOSPA, "OLD1"), &off).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let by_search = json!({ "reference": format!("Patient?identifier={system}|NEW1") });
    let merged = put(&gateway, &by(HOSPA, "OLD1"), &replaced(by_search)).await;
    assert_eq!((merged.status, merged.issue()), (StatusCode::OK, ("information", "informational")));
    // After a merge, the old id: 200 or 404 (ITI PIXm 3.83.4.2.2).
    let old = get(&gateway, &format!("/fhir/Patient/$ihe-pix?sourceIdentifier={system}%7COLD1")).await;
    assert!(matches!(old.status, StatusCode::OK | StatusCode::NOT_FOUND), "{}", old.status);
    let new = get(&gateway, &format!("/fhir/Patient?identifier={system}%7CNEW1")).await;
    assert_eq!(new.resource["total"], 1);
    assert!(!new.resource.to_string().contains("OLD1"));
}

#[tokio::test]
async fn a_match_is_graded() {
    let gateway = gateway().await;
    put(&gateway, &by(HOSPA, "M1"), &misaki(&[(HOSPA, "M1")])).await;
    let asked = |resource: Value, certain: bool| {
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "resource", "resource": resource },
            { "name": "onlyCertainMatches", "valueBoolean": certain },
            { "name": "count", "valueInteger": 3 },
        ] })
    };
    let found = post(&gateway, "/fhir/Patient/$match", &asked(misaki(&[]), false)).await;
    assert_eq!((found.status, found.resource["total"].as_u64()), (StatusCode::OK, Some(1)));
    let search = &found.entries()[0]["search"];
    let score = search["score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score), "{score}");
    let grade = search["extension"][0]["valueCode"].as_str().unwrap();
    assert!(matches!(grade, "certain" | "probable"), "{grade}");
    let certain = post(&gateway, "/fhir/Patient/$match", &asked(misaki(&[]), true)).await;
    assert_eq!(certain.resource["total"].as_u64(), Some(u64::from(grade == "certain")));
    let stranger = patient(&[], "五十嵐", "イガラシ", "1931-11-11");
    let none = post(&gateway, "/fhir/Patient/$match", &asked(stranger, false)).await;
    assert_eq!((none.status, none.resource["total"].as_u64()), (StatusCode::OK, Some(0)));
    let empty = post(&gateway, "/fhir/Patient/$match", &json!({ "resourceType": "Parameters" })).await;
    assert_eq!((empty.status, empty.issue()), (StatusCode::BAD_REQUEST, ("error", "required")));
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let gateway = gateway().await;
    put(&gateway, &by(HOSPA, "E1"), &misaki(&[(HOSPA, "E1")])).await;
    let pix = "/fhir/Patient/$ihe-pix";
    let source = format!("sourceIdentifier=urn:oid:{HOSPA}%7CE1");
    for (path, status, code) in [
        (format!("{pix}?sourceIdentifier=urn:oid:{HOSPA}%7CNOBODY"), 404, "not-found"),
        (format!("{pix}?sourceIdentifier=urn:oid:2.999.77%7C1"), 400, "code-invalid"),
        (format!("{pix}?{source}&targetSystem=urn:oid:2.999.77"), 403, "code-invalid"),
        (pix.to_owned(), 400, "required"),
        (format!("{pix}?{source}&target=x"), 400, "not-supported"),
        ("/fhir/Patient?identifier=urn:oid:2.999.77%7C".into(), 404, "code-invalid"),
        ("/fhir/Patient?identifier=urn:oid:2.999.77%7C5".into(), 404, "code-invalid"),
        ("/fhir/Patient?name=x".into(), 400, "not-supported"),
        ("/fhir/Patient?gender=female".into(), 400, "not-supported"),
        ("/fhir/Patient".into(), 400, "not-supported"),
        ("/fhir/Patient?birthdate=1988-13".into(), 400, "value"),
        ("/fhir/Patient?family=%zz".into(), 400, "structure"),
        ("/fhir/Patient?family=x&_format=ttl".into(), 406, "not-supported"),
        ("/fhir/Observation".into(), 404, "not-found"),
    ] {
        let answer = get(&gateway, &path).await;
        assert_eq!((answer.status.as_u16(), answer.issue()), (status, ("error", code)), "{path}");
    }
    let lenient = ask(
        &gateway,
        "GET",
        "/fhir/Patient?name=x&birthdate=1988-03-02",
        &[("prefer", "handling=lenient")],
        "",
    )
    .await;
    assert_eq!(lenient.status, StatusCode::OK);
    assert!(lenient.entries().iter().any(|e| e["search"]["mode"] == "outcome"), "what was left out is told");
    let accepts = |accept: &'static str| [("accept", accept)];
    assert_eq!(
        ask(&gateway, "GET", "/fhir/metadata", &accepts("application/fhir+turtle"), "").await.status.as_u16(),
        406
    );
    assert_eq!(
        ask(&gateway, "GET", "/fhir/metadata", &accepts("text/html, */*;q=0.1"), "").await.status.as_u16(),
        200
    );
    for (method, path, allow) in [
        ("POST", "/fhir/Patient", "GET, HEAD, PUT"),
        ("PUT", "/fhir/Patient/1", "GET, HEAD"),
        ("GET", "/fhir/Patient/$match", "POST"),
    ] {
        let answer = ask(&gateway, method, path, &[("content-type", JSON)], "{}").await;
        assert_eq!(answer.status.as_u16(), 405, "{method} {path}");
        assert_eq!(answer.headers[header::ALLOW], allow, "{method} {path}");
    }
    // The Remove Patient option is not offered, and that is said as the profile has it (ITI PIXm 3.104.4.3.4).
    let removed = ask(&gateway, "DELETE", &by(HOSPA, "E1"), &[], "").await;
    assert_eq!((removed.status.as_u16(), removed.issue()), (400, ("error", "not-supported")));
    assert_eq!(removed.resource["issue"][0]["diagnostics"], "Remove Patient is not supported");
    assert_eq!(get(&gateway, &format!("{pix}?{source}")).await.status, StatusCode::OK, "it is still there");
}

#[tokio::test]
async fn each_spoiled_feed_is_refused_and_nothing_is_stored() {
    let gateway = gateway().await;
    let good = misaki(&[(HOSPA, "F1")]);
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("/resourceType", json!("Person"), 400, "structure"),
        ("/birthDate", json!("1988-02-30"), 400, "value"),
        ("/gender", json!("F"), 400, "code-invalid"),
        ("/identifier/0/value", json!("F2"), 422, "business-rule"),
        (
            "/identifier",
            json!([{ "system": format!("urn:oid:{HOSPA}"), "value": "F1" }, { "system": "urn:oid:2.999.77", "value": "1" }]),
            400,
            "code-invalid",
        ),
        (
            "/identifier",
            json!([{ "system": format!("urn:oid:{HOSPA}"), "value": "F1" }, { "system": "urn:oid:2.999.392.22.1", "value": "123456789018" }]),
            422,
            "business-rule",
        ),
    ];
    for (pointer, value, status, code) in cases {
        let mut spoiled = good.clone();
        *spoiled.pointer_mut(pointer).unwrap() = value;
        let answer = put(&gateway, &by(HOSPA, "F1"), &spoiled).await;
        assert_eq!((answer.status.as_u16(), answer.issue()), (status, ("error", code)), "{pointer}");
        assert!(!answer.resource.to_string().contains("123456789018"));
    }
    let path = by(HOSPA, "F1");
    for (path, status) in
        [("/fhir/Patient", 400), ("/fhir/Patient?identifier=F1", 400), ("/fhir/Patient?name=x", 400)]
    {
        assert_eq!(put(&gateway, path, &good).await.status.as_u16(), status, "{path}");
    }
    for (kind, body, status) in [
        ("application/fhir+turtle", "<Patient/>", 415),
        ("application/fhir+xml", "<Patient/>", 400),
        ("application/fhir+xml", "{}", 400),
        ("application/fhir+xml; charset=utf-16", "<Patient/>", 415),
        ("application/fhir+json; charset=shift_jis", "{}", 415),
        (JSON, "{\"resourceType\":", 400),
        (JSON, "[]", 400),
    ] {
        let headers = [("content-type", kind), ("accept", JSON)];
        let answer = ask(&gateway, "PUT", &path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {body}");
    }
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(ask(&gateway, "PUT", &path, &[("content-type", JSON)], &deep).await.status.as_u16(), 400);
    let large = format!("{{\"resourceType\":\"Patient\",\"x\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(ask(&gateway, "PUT", &path, &[("content-type", JSON)], &large).await.status.as_u16(), 413);
    let pix = format!("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{HOSPA}%7CF1");
    assert_eq!(get(&gateway, &pix).await.status, StatusCode::NOT_FOUND, "nothing was stored");
    let audit = gateway.audit().await;
    assert!(
        audit.iter().any(|e| e.transaction == "ITI-104") && audit.iter().any(|e| e.transaction == "ITI-83")
    );
    assert!(!format!("{audit:?}").contains("123456789018"));
}

#[tokio::test]
async fn the_statement_says_what_is_served() {
    let gateway = gateway().await;
    let statement = get(&gateway, "/fhir/metadata").await;
    assert_eq!((statement.status, &statement.resource["fhirVersion"]), (StatusCode::OK, &json!("4.0.1")));
    let resource = &statement.resource["rest"][0]["resource"][0];
    assert_eq!(resource["type"], "Patient");
    for parameter in resource["searchParam"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let value = match name {
            "gender" => "female",
            "birthdate" => "1988",
            "active" => "true",
            "identifier" => "urn:oid:1.2.3%7C1",
            _ => "x",
        };
        let answer = get(&gateway, &format!("/fhir/Patient?{name}={value}&birthdate=1988-03-02")).await;
        let twice = name == "birthdate";
        assert_eq!(answer.status == StatusCode::OK, !twice, "{name}: {}", answer.resource);
    }
    assert_eq!(get(&gateway, "/fhir/metadata?_format=application/fhir%2Bjson").await.status, StatusCode::OK);
    // Audit records where they can be searched, each parameter understood (ITI-81).
    assert_eq!(statement.resource["rest"][0]["resource"].as_array().unwrap().len(), 1);
    let gateway = gateway_with(|c| c.audit.search_listeners = vec!["fhir".into()]).await;
    let statement = get(&gateway, "/fhir/metadata").await;
    let trail = &statement.resource["rest"][0]["resource"][1];
    assert_eq!(
        (&trail["type"], &trail["interaction"][0]["code"]),
        (&json!("AuditEvent"), &json!("search-type"))
    );
    let named: Vec<&str> =
        trail["searchParam"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(named.len(), 11);
    let every: Vec<String> = named
        .iter()
        .map(|name| match *name {
            "date" => "date=ge2026-11-01".to_owned(),
            "outcome" | "entity-type" | "entity-role" => format!("{name}=1"),
            name => format!("{name}=x"),
        })
        .collect();
    let found = get(&gateway, &format!("/fhir/AuditEvent?{}", every.join("&"))).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.resource);
    let said = found.link("self").expect("what was understood");
    assert!(named.iter().all(|name| said.contains(&format!("{name}="))), "{said}");
}

/// Every transaction in XML, and each answer the same as in JSON.
#[tokio::test]
async fn everything_is_said_in_xml_too() {
    let gateway = gateway().await;
    const XML: &str = "application/fhir+xml";
    let send = async |method: &str, path: &str, resource: &Value| {
        let body = String::from_utf8(Format::Xml.write(resource)).unwrap();
        let answer = ask(&gateway, method, path, &[("content-type", XML)], &body).await;
        assert_eq!(answer.format, Format::Xml, "{path}: a request in XML is answered in XML");
        answer
    };
    let resource = misaki(&[(HOSPA, "X1"), (HOSPB, "X2")]);
    let created = send("PUT", &by(HOSPA, "X1"), &resource).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.resource);
    let source = format!("sourceIdentifier=urn:oid:{HOSPA}%7CX1");
    let birth = "/fhir/Patient?family=%E9%AB%98%E6%A9%8B&birthdate=1988-03-02";
    for path in [
        "/fhir/metadata?x=1".to_owned(),
        birth.to_owned(),
        format!("/fhir/Patient/$ihe-pix?{source}"),
        format!("/fhir/Patient/$ihe-pix?{source}&targetSystem=urn:oid:2.999.77"),
        "/fhir/Patient?family=x&nothing=y".to_owned(),
    ] {
        let json = get(&gateway, &path).await;
        let by_header = ask(
            &gateway,
            "GET",
            &path,
            &[("accept", "text/html, application/fhir+xml;q=0.9, */*;q=0.1")],
            "",
        );
        let by_header = by_header.await;
        assert_eq!((by_header.status, by_header.format), (json.status, Format::Xml), "{path}");
        let by_format = get(&gateway, &format!("{path}&_format=xml")).await;
        assert_eq!((by_format.status, by_format.format), (json.status, Format::Xml), "{path}");
        if !path.contains("birthdate") {
            // A search says how it was asked.
            assert_eq!(by_header.resource, json.resource, "{path}");
            continue;
        }
        assert_eq!(by_format.entries(), json.entries(), "{path}");
        assert_eq!(json.entries().len(), 1);
    }
    let preferred = ask(
        &gateway,
        "GET",
        "/fhir/metadata",
        &[("accept", "application/fhir+xml;q=0.5, application/json")],
        "",
    );
    assert_eq!(preferred.await.format, Format::Json);
    let question = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "sourceIdentifier", "valueIdentifier": { "system": format!("urn:oid:{HOSPA}"), "value": "X1" } },
        { "name": "targetSystem", "valueUri": format!("urn:oid:{HOSPB}") },
    ] });
    assert_eq!(targets(&send("POST", "/fhir/Patient/$ihe-pix", &question).await), ["X2"]);
    let question = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": misaki(&[]) }, { "name": "count", "valueInteger": 3 },
    ] });
    let matched = send("POST", "/fhir/Patient/$match", &question).await;
    assert_eq!((matched.status, matched.resource["total"].as_u64()), (StatusCode::OK, Some(1)));
    assert!(matched.entries()[0]["search"]["score"].as_f64().is_some());
    let spoiled = json!({ "resourceType": "Patient", "gender": "F" });
    let refused = send("PUT", &by(HOSPA, "X1"), &spoiled).await;
    assert_eq!((refused.status.as_u16(), refused.issue()), (400, ("error", "code-invalid")));
    // A join, and the old id is gone.
    assert_eq!(send("PUT", &by(HOSPA, "X9"), &misaki(&[(HOSPA, "X9")])).await.status, StatusCode::CREATED);
    let mut old = misaki(&[(HOSPA, "X9")]);
    old["active"] = json!(false);
    let other = json!({ "identifier": { "system": format!("urn:oid:{HOSPA}"), "value": "X1" } });
    old["link"] = json!([{ "type": "replaced-by", "other": other }]);
    assert_eq!(send("PUT", &by(HOSPA, "X9"), &old).await.status, StatusCode::OK);
    let gone =
        get(&gateway, &format!("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{HOSPA}%7CX9&_format=xml"))
            .await;
    assert_eq!((gone.status, gone.format), (StatusCode::NOT_FOUND, Format::Xml));
}
