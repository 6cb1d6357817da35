//! The way through a relay in the facility: sealed jobs over mutual TLS.

use http::{HeaderMap, HeaderValue, header};

use super::direct::failed;
use super::seal::{Job, Reply, Seal};
use super::{Answer, Call, Holdings};
use crate::config::PeerConfig;
use crate::model::national::Class;
use crate::peer::http::{Client, ClientError};

/// Media type of a sealed job.
pub const SEALED: &str = "application/vnd.chiren.sealed";

pub struct Relay {
    client: Client,
    seal: Seal,
}

impl Relay {
    pub fn new(peer: &PeerConfig, seal: Seal) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(peer)?, seal })
    }

    pub fn address(&self) -> &str {
        self.client.url()
    }

    pub async fn call(&self, call: &Call, now: i64) -> Answer {
        match self.ask(&Job::Call(call.clone()), now).await {
            Ok(Reply::Answer(answer)) => answer,
            Ok(Reply::Refused(why)) => Answer::Failed {
                class: Class::Permanent,
                why: format!("the relay refuses: {why}"),
                after: None,
                unsure: false,
            },
            Ok(Reply::Holdings(_)) => Answer::transient("the relay answered another question", true),
            Err(answer) => answer,
        }
    }

    pub async fn holdings(&self, institution: &str, now: i64) -> Holdings {
        match self.ask(&Job::Holdings { institution: institution.to_owned() }, now).await {
            Ok(Reply::Holdings(held)) => Ok(held),
            Ok(Reply::Refused(why)) | Err(Answer::Failed { why, .. }) => Err(why),
            _ => Err("the relay answered another question".into()),
        }
    }

    async fn ask(&self, job: &Job, now: i64) -> Result<Reply, Answer> {
        let (sealed, id) = self.seal.job(job, now).map_err(|e| Answer::transient(e.to_string(), false))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SEALED));
        let answer = self.client.post_bytes(headers, sealed.into()).await.map_err(|e| failed(&e))?;
        let answer = answer.success().map_err(|e| {
            // The relay itself says so: the service has seen nothing.
            Answer::transient(e.to_string(), false)
        })?;
        let bytes = answer.whole().await.map_err(|e| failed(&e))?;
        self.seal
            .open_reply(bytes.to_vec(), &id)
            .map_err(|e| Answer::transient(format!("the relay's reply: {e}"), true))
    }
}
