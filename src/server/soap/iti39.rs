//! ITI-39 Cross Gateway Retrieve: ITI-43 asked by another community. ITI TF-2 3.39.

use super::iti43::{self, Asked};
use super::reply::Reply;
use super::{SoapFace, initiating};
use crate::model::error::{Error, Fault};
use crate::service::context::Context;

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
    mtom: bool,
) -> Result<Reply, Fault> {
    let gateway = initiating::gateway(face)?;
    let (asked_for, requests) = asked.split();
    let delivery = match requests {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok(requests) => gateway.retrieve_here(context, requests).await,
    };
    // The uniqueId stands in the context; the place is the community's (ITI TF-2 3.39.4.1.3).
    let home = gateway.home();
    let delivery = match delivery {
        Ok(mut delivery) => {
            let here = &mut delivery.here.errors;
            here.iter_mut().chain(&mut delivery.errors).for_each(|e| e.location = Some(home.to_owned()));
            Ok(delivery)
        }
        Err(Error::Rejected(errors)) => {
            Err(Error::Rejected(errors.into_iter().map(|e| e.at(home)).collect()))
        }
        Err(e) => Err(e),
    };
    iti43::respond(context, asked_for, delivery, message_id, mtom)
}
