//! Access tokens as ITI-72 (IUA) brings them: JWS in compact form (RFC 7515 7.1) around claims (RFC 7519), and the keys
//! they are verified with, as a JWK Set (RFC 7517). Read, not believed: whether a key is trusted and what is said holds
//! is decided in `service/xua`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::model::error::clip;
use crate::model::token::{Claims, Jwk, JwsAlgorithm, Material, SignedToken, Token, TokenKind, TokenTrouble};
use crate::model::user::Coded;

/// Octets of a token; more is not looked at.
const MOST: usize = 16 << 10;
/// `typ` of an access token (RFC 9068 2.1; ITI TF-2 3.71.4.2.2.3), compared without case; or none.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/at+jwt", "iua-jwt"];

fn invalid(text: impl Into<String>) -> TokenTrouble {
    TokenTrouble::new(TokenKind::InvalidToken, text)
}

/// The token of an `Authorization` header; `None` if it is of another scheme.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Fields that stand twice are refused by the reader itself.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    cty: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    aud: Several<String>,
    exp: Number,
    nbf: Option<Number>,
    iat: Option<Number>,
    jti: Option<String>,
    scope: Option<String>,
    client_id: Option<String>,
    acr: Option<String>,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Deserialize, Default)]
struct Extensions {
    #[serde(default)]
    ihe_iua: Iua,
    #[serde(default)]
    ihe_bppc: Bppc,
}

#[derive(Deserialize, Default)]
struct Iua {
    subject_name: Option<String>,
    subject_organization: Option<String>,
    subject_organization_id: Option<String>,
    subject_role: Option<Several<Code>>,
    purpose_of_use: Option<Several<Code>>,
    home_community_id: Option<String>,
}

#[derive(Deserialize, Default)]
struct Bppc {
    patient_id: Option<String>,
}

/// One, or a list (RFC 7519 4.1.3 for `aud`; the example of ITI TF-2 3.71.4.2.2.3 for codes).
#[derive(Deserialize)]
#[serde(untagged)]
enum Several<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> Several<T> {
    fn all(self) -> Vec<T> {
        match self {
            Self::Many(all) => all,
            Self::One(one) => vec![one],
        }
    }
}

/// A FHIR Coding, or a bare code ("if a coded value is used").
#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Coding { code: String, system: Option<String>, display: Option<String> },
    Bare(String),
}

fn coded(codes: Option<Several<Code>>) -> Vec<Coded> {
    let codes = codes.map(Several::all).unwrap_or_default();
    codes
        .into_iter()
        .map(|code| match code {
            Code::Coding { code, system, display } => {
                let system = system.unwrap_or_default();
                let system = system.strip_prefix("urn:oid:").map_or_else(|| system.clone(), str::to_owned);
                Coded { code, system, display }
            }
            Code::Bare(code) => Coded { code, system: String::new(), display: None },
        })
        .collect()
}

/// Takes a token apart.
pub fn read(text: &str) -> Result<(Token, SignedToken), TokenTrouble> {
    if text.len() > MOST {
        return Err(invalid(format!("the token has {} octets, more than {MOST}", text.len())));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(invalid(format!(
            "the token has {} parts between dots; a signed JWT has 3 (RFC 7515 7.1)",
            parts.len()
        )));
    };
    let octets = |part: &str, what: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| invalid(format!("the token's {what} is not base64url (RFC 7515 2)")))
    };
    let head: Header = json(&octets(header, "header")?, "header")?;
    let algorithm = JwsAlgorithm::of(&head.alg).ok_or_else(|| {
        let all: Vec<&str> = JwsAlgorithm::ALL.into_iter().map(JwsAlgorithm::name).collect();
        invalid(format!("alg '{}' is not supported; there are {}", clip(&head.alg), all.join(", ")))
    })?;
    if head.crit.is_some() {
        return Err(invalid("the token's header has crit; no extension is understood (RFC 7515 4.1.11)"));
    }
    if let Some(typ) = head.typ.as_deref().filter(|t| !TYPES.contains(&t.to_ascii_lowercase().as_str())) {
        return Err(invalid(format!("typ '{}' is no access token", clip(typ))));
    }
    if head.cty.is_some() {
        return Err(invalid("the token's header has cty: a token within a token is not supported"));
    }
    let value = octets(signature, "signature")?;
    let body: Body = json(&octets(claims, "claims")?, "claims")?;
    let at = |claim: &str, number: &Number| {
        instant(number)
            .ok_or_else(|| invalid(format!("{claim} '{number}' is no time (RFC 7519 2, NumericDate)")))
    };
    let optional = |claim: &str, number: &Option<Number>| number.as_ref().map(|n| at(claim, n)).transpose();
    let token = Token {
        expires: at("exp", &body.exp)?,
        not_before: optional("nbf", &body.nbf)?,
        issued: optional("iat", &body.iat)?,
        issuer: body.iss,
        subject: body.sub,
        audiences: body.aud.all(),
        id: body.jti.filter(|id| !id.is_empty()),
        scopes: body.scope.map(|s| s.split_ascii_whitespace().map(str::to_owned).collect()),
        client: body.client_id,
        signed_in: body.acr,
        claims: Claims {
            name: body.extensions.ihe_iua.subject_name,
            organization: body.extensions.ihe_iua.subject_organization,
            organization_id: body.extensions.ihe_iua.subject_organization_id,
            roles: coded(body.extensions.ihe_iua.subject_role),
            purposes: coded(body.extensions.ihe_iua.purpose_of_use),
            home_community_id: body.extensions.ihe_iua.home_community_id,
            patient: body.extensions.ihe_bppc.patient_id.filter(|id| !id.is_empty()),
        },
    };
    let message = text.get(..header.len() + 1 + claims.len()).unwrap_or_default().as_bytes().to_vec();
    Ok((token, SignedToken { algorithm, key_id: head.kid, message, value }))
}

/// The text of the error would quote the token.
fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8], what: &str) -> Result<T, TokenTrouble> {
    serde_json::from_slice(bytes).map_err(|e| {
        let why = match e.classify() {
            serde_json::error::Category::Data => "lacks a claim, has one twice, or has one of another type",
            _ => "is not JSON",
        };
        invalid(format!("the token's {what} {why} (column {})", e.column()))
    })
}

/// Seconds since 1970, with a fraction perhaps.
fn instant(number: &Number) -> Option<Timestamp> {
    if let Some(seconds) = number.as_i64() {
        return Timestamp::from_second(seconds).ok();
    }
    let seconds = number.as_f64().filter(|s| s.is_finite() && s.abs() < 1e11)?;
    Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
}

/// The keys of a set that verify signatures; others are passed over (RFC 7517 5). The error is a sentence.
pub fn key_set(text: &str) -> Result<Vec<Jwk>, String> {
    let set: Map<String, Value> = serde_json::from_str(text).map_err(|_| "is no JSON object".to_owned())?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("has no list \"keys\" (RFC 7517 5)")?;
    keys.iter()
        .enumerate()
        .filter_map(|(n, key)| jwk(key).map_err(|why| format!("keys[{n}]: {why}")).transpose())
        .collect()
}

fn jwk(key: &Value) -> Result<Option<Jwk>, String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let octets = |name: &str| {
        let text = text(name).ok_or_else(|| format!("lacks {name}"))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name} is not base64url"))
    };
    if text("use").is_some_and(|of| of != "sig") {
        return Ok(None);
    }
    let algorithm = match text("alg") {
        None => None,
        Some(name) => match JwsAlgorithm::of(name) {
            Some(algorithm) => Some(algorithm),
            None => return Ok(None),
        },
    };
    let material = match text("kty").ok_or("lacks kty")? {
        "RSA" => Material::Rsa { n: octets("n")?, e: octets("e")? },
        "EC" => {
            let curve = text("crv").ok_or("lacks crv")?.to_owned();
            Material::Ec { curve, x: octets("x")?, y: octets("y")? }
        }
        // A shared secret verifies nothing here.
        _ => return Ok(None),
    };
    Ok(Some(Jwk { key_id: text("kid").map(str::to_owned), algorithm, material }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;
    const CLAIMS: &str = r#"{"iss":"https://as","sub":"dr","aud":["urn:us","urn:b"],"exp":1781492400,"nbf":1781488800.5,
        "iat":1781488800,"jti":"1","scope":"a b","client_id":"c","extensions":{"ihe_iua":{"subject_name":"山田",
        "subject_organization":"病院","subject_organization_id":"urn:oid:1.2","subject_role":[{"system":"urn:oid:1.2.3",
        "code":"Medical Doctor","display":"医師"}],"purpose_of_use":{"system":"1.2.4","code":"EMERGENCY"},
        "home_community_id":"urn:oid:1.9","other":1},"ihe_bppc":{"patient_id":"1^^^&1.2&ISO"},"x":{}}}"#;

    fn token(head: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(head), part(claims), URL_SAFE_NO_PAD.encode([7; 64]))
    }

    #[track_caller]
    fn spoiled(head: (&str, &str), claims: (&str, &str)) {
        assert!(HEAD.contains(head.0) && CLAIMS.contains(claims.0), "nothing to spoil");
        let text = token(&HEAD.replacen(head.0, head.1, 1), &CLAIMS.replacen(claims.0, claims.1, 1));
        assert_eq!(
            read(&text).map(|_| ()).map_err(|t| t.kind),
            Err(TokenKind::InvalidToken),
            "{head:?} {claims:?}"
        );
    }

    #[test]
    fn a_token_is_read() {
        let text = token(HEAD, CLAIMS);
        let (token, signed) = read(&text).unwrap();
        assert_eq!((token.issuer.as_str(), token.subject.as_str()), ("https://as", "dr"));
        assert_eq!(token.audiences, ["urn:us", "urn:b"]);
        assert_eq!(token.expires.as_second(), 1_781_492_400);
        assert_eq!(token.not_before.unwrap().as_millisecond(), 1_781_488_800_500);
        assert_eq!(token.scopes.unwrap(), ["a", "b"]);
        assert_eq!(token.claims.roles[0].system, "1.2.3");
        assert_eq!(token.claims.purposes[0].code, "EMERGENCY");
        assert_eq!(token.claims.patient.as_deref(), Some("1^^^&1.2&ISO"));
        assert_eq!((signed.algorithm, signed.key_id.as_deref()), (JwsAlgorithm::Es256, Some("k1")));
        assert_eq!(signed.message, text.rsplit_once('.').unwrap().0.as_bytes());
        let one =
            CLAIMS.replace(r#"["urn:us","urn:b"]"#, r#""urn:us""#).replace(r#","code":"EMERGENCY"}"#, "}");
        let bare = one.replace(r#"{"system":"1.2.4"}"#, r#""TREATMENT""#);
        let (token, _) = read(&self::token(HEAD, &bare)).unwrap();
        assert_eq!((token.audiences.len(), token.claims.purposes[0].code.as_str()), (1, "TREATMENT"));
    }

    #[test]
    fn each_spoiling_is_refused() {
        for alg in ["none", "None", "HS256", "PS256", "es256", "EdDSA", ""] {
            spoiled(("ES256", alg), ("dr", "dr"));
        }
        spoiled(("at+jwt", "dpop+jwt"), ("dr", "dr"));
        spoiled((r#""kid""#, r#""crit":["exp"],"kid""#), ("dr", "dr"));
        spoiled((r#""kid""#, r#""cty":"JWT","kid""#), ("dr", "dr"));
        spoiled((r#""kid""#, r#""alg":"RS256","kid""#), ("dr", "dr"));
        for (from, to) in [
            (r#""iss":"https://as","#, ""),
            (r#""sub":"dr","#, ""),
            (r#""exp":1781492400,"#, ""),
            (r#""exp":1781492400"#, r#""exp":"1781492400""#),
            (r#""exp":1781492400"#, r#""exp":1e300"#),
            (r#""exp":1781492400"#, r#""exp":99999999999999999"#),
            (r#""aud":["urn:us","urn:b"],"#, ""),
            (r#""aud":["urn:us","urn:b"]"#, r#""aud":7"#),
            (r#""sub":"dr""#, r#""sub":"dr","sub":"other""#),
            (r#""subject_name":"山田""#, r#""subject_name":"山田","subject_name":"x""#),
            (r#""scope":"a b""#, r#""scope":["a"]"#),
            ("}}}", "}}"),
        ] {
            spoiled(("kid", "kid"), (from, to));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token(HEAD, CLAIMS);
        let (rest, signature) = good.rsplit_once('.').unwrap();
        for bad in [
            String::new(),
            ".".into(),
            "..".into(),
            rest.to_owned(),
            format!("{good}."),
            format!("{good}="),
            format!(" {good}"),
            format!("{rest}.{}+", &signature[1..]),
            format!("{}.x", "a".repeat(MOST)),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn schemes_are_told_apart() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("bearer  x "), Some("x"));
        assert_eq!((bearer("Basic eDp5"), bearer("Bearer")), (None, None));
    }

    #[test]
    fn keys_are_read_and_what_cannot_verify_is_passed_over() {
        let set = r#"{"keys":[
            {"kty":"RSA","n":"AQAB","e":"AQAB","kid":"r","alg":"RS256"},
            {"kty":"EC","crv":"P-256","x":"AQ","y":"Ag","use":"sig"},
            {"kty":"oct","k":"AQAB"}, {"kty":"RSA","n":"AQAB","e":"AQAB","use":"enc"},
            {"kty":"RSA","n":"AQAB","e":"AQAB","alg":"PS256"}, {"kty":"OKP","crv":"Ed25519","x":"AQ"}]}"#;
        let keys = key_set(set).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!((keys[0].key_id.as_deref(), keys[0].algorithm), (Some("r"), Some(JwsAlgorithm::Rs256)));
        assert_eq!(keys[1].material, Material::Ec { curve: "P-256".into(), x: vec![1], y: vec![2] });
        for bad in
            ["", "[]", r#"{"keys":{}}"#, r#"{"keys":[{}]}"#, r#"{"keys":[{"kty":"RSA","n":"+","e":"AQAB"}]}"#]
        {
            assert!(key_set(bad).is_err(), "{bad}");
        }
    }
}
