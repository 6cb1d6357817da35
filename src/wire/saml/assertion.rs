//! What an assertion says (SAML 2.0 Core 2.3 to 2.7; ITI TF-2 3.40.4.1.2), read but not believed.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use roxmltree::Node;

use super::{NS_DS, NS_SAML};
use crate::model::assertion::{
    Assertion, Attribute, Authenticated, Conditions, Confirmation, Kind, Trouble, Value,
};
use crate::model::error::clip;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::tree;

fn invalid(text: impl Into<String>) -> Trouble {
    Trouble::new(Kind::InvalidSecurityToken, text)
}

pub fn read(node: Node<'_, '_>) -> Result<Assertion, Trouble> {
    let version = tree::attr(node, "Version").unwrap_or_default();
    if version != "2.0" {
        return Err(invalid(format!("Assertion/@Version '{}' is not 2.0", clip(version))));
    }
    let subject = child(node, "Subject").ok_or_else(|| invalid("Assertion holds no Subject"))?;
    let name_id = child(subject, "NameID").ok_or_else(|| invalid("Subject holds no NameID"))?;
    let confirmations = tree::children(subject, NS_SAML, "SubjectConfirmation")
        .map(confirmation)
        .collect::<Result<Vec<_>, _>>()?;
    let authenticated = tree::children(node, NS_SAML, "AuthnStatement")
        .filter_map(|s| {
            let class = child(child(s, "AuthnContext")?, "AuthnContextClassRef")?;
            Some((s, tree::text_of(class).trim().to_owned()))
        })
        .map(|(s, class)| match instant(s, "AuthnInstant")? {
            Some(at) => Ok(Authenticated { at, class }),
            None => Err(invalid("AuthnStatement/@AuthnInstant is absent")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let text = |node: Node<'_, '_>| tree::text_of(node).trim().to_owned();
    Ok(Assertion {
        id: tree::attr(node, "ID").unwrap_or_default().to_owned(),
        issued: instant(node, "IssueInstant")?.ok_or_else(|| invalid("Assertion/@IssueInstant is absent"))?,
        issuer: child(node, "Issuer").map(text).unwrap_or_default(),
        name_id: text(name_id),
        provided_id: tree::attr(name_id, "SPProvidedID").map(str::to_owned),
        confirmations,
        conditions: child(node, "Conditions").map(conditions).transpose()?,
        authenticated,
        attributes: tree::children(node, NS_SAML, "AttributeStatement")
            .flat_map(|s| tree::children(s, NS_SAML, "Attribute"))
            .map(attribute)
            .collect(),
    })
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    tree::child(node, NS_SAML, name)
}

/// An xs:dateTime with a zone.
fn instant(node: Node<'_, '_>, name: &str) -> Result<Option<Timestamp>, Trouble> {
    let Some(text) = tree::attr(node, name) else { return Ok(None) };
    match text.trim().parse() {
        Ok(at) => Ok(Some(at)),
        Err(_) => Err(invalid(format!(
            "{}/@{name} '{}' is no date and time with a zone",
            clip(node.tag_name().name()),
            clip(text)
        ))),
    }
}

fn confirmation(node: Node<'_, '_>) -> Result<Confirmation, Trouble> {
    let method = tree::attr(node, "Method").unwrap_or_default().to_owned();
    let Some(data) = child(node, "SubjectConfirmationData") else {
        return Ok(Confirmation { method, ..Confirmation::default() });
    };
    let certificates = tree::children(data, NS_DS, "KeyInfo")
        .flat_map(|info| info.descendants().filter(|n| tree::is(*n, NS_DS, "X509Certificate")))
        .filter_map(|n| {
            let text: String = tree::text_of(n).split_ascii_whitespace().collect();
            STANDARD.decode(text).ok()
        })
        .collect();
    Ok(Confirmation {
        method,
        not_before: instant(data, "NotBefore")?,
        not_on_or_after: instant(data, "NotOnOrAfter")?,
        certificates,
    })
}

fn conditions(node: Node<'_, '_>) -> Result<Conditions, Trouble> {
    let known = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"];
    if let Some(other) = tree::elements(node).find(|n| !known.iter().any(|k| tree::is(*n, NS_SAML, k))) {
        // A condition nobody understands is one that nobody can say is met (SAML 2.0 Core 2.5.1).
        return Err(invalid(format!(
            "Conditions holds '{}', which is not known here",
            clip(other.tag_name().name())
        )));
    }
    let audiences = tree::children(node, NS_SAML, "AudienceRestriction").map(|restriction| {
        let audiences = tree::children(restriction, NS_SAML, "Audience");
        audiences.map(|a| tree::text_of(a).trim().to_owned()).collect()
    });
    Ok(Conditions {
        not_before: instant(node, "NotBefore")?,
        not_on_or_after: instant(node, "NotOnOrAfter")?,
        audiences: audiences.collect(),
        one_time_use: child(node, "OneTimeUse").is_some(),
    })
}

fn attribute(node: Node<'_, '_>) -> Attribute {
    let values = tree::children(node, NS_SAML, "AttributeValue").map(|value| {
        let Some(element) = tree::elements(value).next() else {
            return Value::Text(tree::text_of(value).trim().to_owned());
        };
        let attr = |name: &str| tree::attr(element, name).map(str::to_owned);
        let is_id = element.tag_name().name() == "id" && element.tag_name().namespace() == Some(NS_HL7V3);
        match is_id {
            true => Value::Id { root: attr("root").unwrap_or_default(), extension: attr("extension") },
            false => Value::Coded {
                code: attr("code").unwrap_or_default(),
                system: attr("codeSystem").unwrap_or_default(),
                display: attr("displayName"),
            },
        }
    });
    Attribute { name: tree::attr(node, "Name").unwrap_or_default().to_owned(), values: values.collect() }
}
