//! The way from here: HTTPS with the institution's certificate.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::shape::{self, Prepared};
use super::{Answer, Call, Holdings};
use crate::config::PeerConfig;
use crate::config::mapping::Mapping;
use crate::model::national::{Class, Op};
use crate::peer::http::{Client, ClientError, PeerError};

pub struct Direct {
    client: Client,
    mapping: Arc<Mapping>,
}

impl Direct {
    pub fn new(peer: &PeerConfig, mapping: Arc<Mapping>) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(peer)?, mapping })
    }

    pub fn address(&self) -> &str {
        self.client.url()
    }

    pub async fn call(&self, call: &Call) -> Answer {
        let prepared = match shape::request(&self.mapping, call) {
            Ok(prepared) => prepared,
            // Nobody can be asked: what is sent again is known by its key.
            Err(_) if call.op == Op::Result => return Answer::Unknown,
            Err(e) => return unwritable(e.to_string()),
        };
        match self.send(prepared).await {
            Ok((status, after, body)) => shape::answer(&self.mapping, call.op, status, after, &body),
            Err(answer) => answer,
        }
    }

    async fn send(&self, prepared: Prepared) -> Result<(u16, Option<u64>, Bytes), Answer> {
        let Prepared { method, path, headers, content_type, body } = prepared;
        let base = self.client.url().trim_end_matches('/');
        let client = self
            .client
            .at(&format!("{base}/{}", path.trim_start_matches('/')))
            .ok_or_else(|| unwritable(format!("{path:?} is no path below the service's address")))?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|e| unwritable(e.to_string()))?;
        let mut map = HeaderMap::new();
        for (name, value) in headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .chain([("content-type", content_type.as_str())])
        {
            let name = HeaderName::try_from(name).map_err(|e| unwritable(e.to_string()))?;
            map.insert(name, HeaderValue::try_from(value).map_err(|e| unwritable(e.to_string()))?);
        }
        let answer = client.send(method, map, body.into()).await.map_err(|e| failed(&e))?;
        let after =
            answer.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let status = answer.status.as_u16();
        let body = answer.whole().await.map_err(|e| failed(&e))?;
        Ok((status, after, body))
    }

    pub async fn holdings(&self, institution: &str) -> Holdings {
        let Some(inventory) = &self.mapping.inventory else { return Ok(None) };
        let prepared = Prepared {
            method: "GET".into(),
            path: inventory.path.clone(),
            headers: vec![],
            content_type: self.mapping.content_type.clone(),
            body: vec![],
        };
        match self.send(prepared).await {
            Ok((200, _, body)) => match shape::holdings(inventory, institution, &body) {
                Some(held) => Ok(Some(held)),
                None => Err("the inventory cannot be read by the mapping".into()),
            },
            Ok((status, ..)) => Err(format!("the inventory answered HTTP {status}")),
            Err(Answer::Failed { why, .. }) => Err(why),
            Err(_) => Err("the inventory gave no usable answer".into()),
        }
    }
}

fn unwritable(why: String) -> Answer {
    Answer::Failed { class: Class::Permanent, why, after: None, unsure: false }
}

/// What a broken line means.
pub(super) fn failed(e: &PeerError) -> Answer {
    let class = match e {
        PeerError::Tls { .. } => Class::Credential,
        _ => Class::Transient,
    };
    // Before a connection stands nothing can have arrived.
    let unsure = !matches!(e, PeerError::Resolve { .. } | PeerError::Connect { .. } | PeerError::Tls { .. });
    Answer::Failed { class, why: e.to_string(), after: None, unsure }
}
