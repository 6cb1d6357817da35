//! Access tokens on FHIR endpoints (IUA): what holds names its user, everything else is 401.

use bytes::Bytes;
use chiren::config::{Config, IuaIssuerConfig, Role, XuaMode};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::Gateway;
use crate::support::idp::{AUDIENCE, Idp, claims};

const AS: &str = "https://as.test.invalid";

async fn gateway(idp: &Idp, change: impl FnOnce(&mut Config)) -> Gateway {
    crate::mpi_v3::gateway_with(|c| {
        c.iua.mode = XuaMode::Required;
        c.iua.audiences = vec![AUDIENCE.into()];
        c.iua.issuer =
            vec![IuaIssuerConfig { name: AS.into(), keys: vec![idp.certificate()], ..Default::default() }];
        change(c);
    })
    .await
}

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    resource: Value,
}

impl Told {
    fn challenge(&self) -> String {
        let value = self.headers.get(header::WWW_AUTHENTICATE).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    }
}

async fn ask(gateway: &Gateway, path: &str, authorization: &[String]) -> Told {
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(Role::Fhir).expect("a FHIR listener");
    let stream = tokio::net::TcpStream::connect(address).await.expect("the gateway listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, "gw.example");
    for value in authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Full::new(Bytes::new())).expect("a request");
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let resource = serde_json::from_slice(&body).expect("JSON");
    Told { status: head.status, headers: head.headers, resource }
}

const SEARCH: &str = "/fhir/Patient?family=x&given=y&birthdate=1988-03-02";

async fn with(gateway: &Gateway, token: &str) -> Told {
    ask(gateway, SEARCH, &[format!("Bearer {token}")]).await
}

fn es256() -> Value {
    json!({ "alg": "ES256", "typ": "at+jwt" })
}

#[tokio::test]
async fn a_token_names_its_user_and_none_is_refused() {
    for (algorithm, alg) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384"),
        (&rcgen::PKCS_RSA_SHA256, "RS256"),
    ] {
        let idp = Idp::named(AS, algorithm);
        let gateway = gateway(&idp, |_| {}).await;
        let now = gateway.clock.now();
        let told = with(&gateway, &idp.token(&json!({ "alg": alg }), &claims(AS, now))).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.resource);
        let records = gateway.audit().await;
        let user = records.iter().find_map(|r| r.caller.user.clone()).expect("a user");
        assert_eq!(user.audited(), format!("{AUDIENCE}<dr-yamada@{AS}>"));
        assert_eq!((user.roles[0].code.as_str(), user.emergency), ("Medical Doctor", true));
        assert_eq!(user.organization_id.as_deref(), Some("urn:oid:2.999.10.1"));
        let told = ask(&gateway, SEARCH, &[]).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED);
        assert_eq!(told.resource["resourceType"], "OperationOutcome");
        assert_eq!(
            (told.resource["issue"][0]["code"].as_str(), told.challenge()),
            (Some("login"), "Bearer realm=\"chiren\"".to_owned())
        );
        // What says nothing of anybody is for everybody.
        assert_eq!(ask(&gateway, "/fhir/metadata", &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn each_spoiling_of_a_token_is_refused() {
    let (idp, stranger) =
        (Idp::named(AS, &rcgen::PKCS_ECDSA_P256_SHA256), Idp::named(AS, &rcgen::PKCS_ECDSA_P256_SHA256));
    let gateway =
        gateway(&idp, |c| c.iua.scopes = [("ITI-78".to_owned(), vec!["patient.read".to_owned()])].into())
            .await;
    let now = gateway.clock.now().as_second();
    let good = claims(AS, gateway.clock.now());
    assert_eq!(with(&gateway, &idp.token(&es256(), &good)).await.status, StatusCode::OK);
    let spoiled: Vec<(&str, Value)> = vec![
        ("/iss", json!("https://as.test.invalid/")),
        ("/aud", json!(["urn:x"])),
        ("/aud", json!([])),
        ("/exp", json!(now - 60)),
        ("/nbf", json!(now + 61)),
        ("/iat", json!(now + 61)),
        ("/exp", json!(now + 3661)),
        ("/sub", json!("")),
        ("/jti", json!("")),
        ("/jti", Value::Null),
        ("/extensions/ihe_iua/subject_role", json!([])),
        ("/extensions/ihe_iua/subject_role/0/system", json!("urn:oid:1.2.3")),
    ];
    for (pointer, value) in spoiled {
        let mut claims = good.clone();
        *claims.pointer_mut(pointer).expect("a claim") = value.clone();
        let told = with(&gateway, &idp.token(&es256(), &claims)).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED, "{pointer} {value}");
        assert!(told.challenge().contains("error=\"invalid_token\""), "{pointer} {value}");
    }
    let mut narrow = good.clone();
    narrow["scope"] = json!("patient.write");
    let told = with(&gateway, &idp.token(&es256(), &narrow)).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED, "ITI TF-2 3.72.7");
    assert!(told.challenge().contains("error=\"insufficient_scope\""));
    // Whose signature, and of what kind.
    let token = idp.token(&es256(), &good);
    let (message, _) = token.rsplit_once('.').unwrap();
    let none = idp.token(&json!({ "alg": "none" }), &good);
    let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
    for bad in [
        stranger.token(&es256(), &good),
        format!("{message}."),
        format!("{message}.AAAA"),
        none,
        unsigned,
        idp.token(&json!({ "alg": "HS256" }), &good),
        idp.token(&json!({ "alg": "RS256" }), &good),
        idp.token(&json!({ "alg": "ES384" }), &good),
        idp.token(&json!({ "alg": "ES256", "crit": ["x"] }), &good),
        token.replacen('e', "f", 1),
        "x".into(),
    ] {
        let told = with(&gateway, &bad).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED, "{bad}");
        assert!(!told.challenge().contains("dr-yamada"));
    }
    let twice = [format!("Bearer {token}"), format!("Bearer {token}")];
    assert_eq!(ask(&gateway, SEARCH, &twice).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&gateway, SEARCH, &["Basic eDp5".into()]).await.status, StatusCode::BAD_REQUEST);
    let users: Vec<_> = gateway.audit().await.into_iter().filter_map(|r| r.caller.user).collect();
    assert_eq!(users.len(), 1, "one held");
    let refusals = gateway.audit().await;
    assert!(refusals.iter().any(|r| r.errors.iter().any(|e| e == "login")), "refusals are recorded");
}

#[tokio::test]
async fn keys_of_a_set_are_told_by_their_names_and_read_anew() {
    let (idp, next) =
        (Idp::named(AS, &rcgen::PKCS_ECDSA_P256_SHA256), Idp::named(AS, &rcgen::PKCS_ECDSA_P256_SHA256));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("as.jwks.json");
    let jwk = |idp: &Idp, id: &str| {
        use base64::Engine as _;
        let raw = rcgen::PublicKeyData::der_bytes(&idp.key).to_vec();
        let part = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "x": part(&raw[1..33]), "y": part(&raw[33..]), "kid": id, "use": "sig" })
    };
    std::fs::write(&path, json!({ "keys": [jwk(&idp, "a")] }).to_string()).unwrap();
    let gateway = gateway(&idp, |c| {
        c.iua.issuer[0].keys = vec![path.clone()];
        c.iua.transactions = [("ITI-83".to_owned(), XuaMode::Optional)].into();
    })
    .await;
    let good = claims(AS, gateway.clock.now());
    let header = |id: &str| json!({ "alg": "ES256", "kid": id });
    let status = async |token: &str| with(&gateway, token).await.status;
    assert_eq!(status(&idp.token(&header("a"), &good)).await, StatusCode::OK);
    assert_eq!(status(&idp.token(&header("b"), &good)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&next.token(&header("b"), &good)).await, StatusCode::UNAUTHORIZED);
    std::fs::write(&path, json!({ "keys": [jwk(&idp, "a"), jwk(&next, "b")] }).to_string()).unwrap();
    gateway.running.as_ref().unwrap().reload().await;
    assert_eq!(status(&next.token(&header("b"), &good)).await, StatusCode::OK);
    assert_eq!(status(&next.token(&header("a"), &good)).await, StatusCode::UNAUTHORIZED);
    // Optional: none is no matter, a bad one is.
    let pix = "/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:1.2.3%7C7";
    assert_ne!(ask(&gateway, pix, &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&gateway, pix, &["Bearer x".into()]).await.status, StatusCode::UNAUTHORIZED);
}
