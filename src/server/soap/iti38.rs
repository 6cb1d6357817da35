//! ITI-38 Cross Gateway Query: ITI-18 asked by another community. ITI TF-2 3.38.

use super::SoapFace;
use super::initiating::{self, Query};
use super::iti18::{self, Asked};
use super::reply::Reply;
use crate::model::error::Fault;
use crate::service::context::Context;

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Query,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let gateway = initiating::gateway(face)?;
    let Query { request, text } = asked;
    let request = request.and_then(|(raw, request)| match gateway.is_for_us(&raw, &request) {
        Ok(()) => Ok(request),
        Err(e) => Err(vec![e]),
    });
    iti18::answer_as(face, context, Asked { request, text }, message_id, Some(gateway.home())).await
}
