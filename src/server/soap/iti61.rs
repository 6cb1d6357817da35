//! ITI-61 Register On-Demand Document Entry: as ITI-42, by the rules of an On-Demand Document Source.
//! ITI TF-2 3.61.

use roxmltree::Node;

use super::SoapFace;
use super::iti42::{Asked, read_from};
use crate::model::rules::Column;

pub fn read(face: &SoapFace, body: Node<'_, '_>) -> Asked {
    read_from(face, body, Column::OnDemand)
}
